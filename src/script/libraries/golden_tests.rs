//! Results of a real 7.2.6 server: each line of the files is an expression, a tab, and what `show.lua` makes of its values there.

use super::testing::Machine;

fn compare(file: &str) {
    let mut machine = Machine::new();
    let mut wrong = Vec::new();
    for line in file.lines() {
        let (expression, wanted) = line.split_once('\t').expect("an expression and a result");
        let found = machine.eval(expression);
        machine.host.state.reset();
        if found != wanted {
            wrong.push(format!("{expression}\n  real {wanted}\n  here {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cjson_is_as_a_real_servers() {
    compare(include_str!("../../../tests/assets/scripts/cjson.txt"));
}

#[test]
fn cmsgpack_is_as_a_real_servers() {
    compare(include_str!("../../../tests/assets/scripts/cmsgpack.txt"));
}

#[test]
fn struct_is_as_a_real_servers() {
    compare(include_str!("../../../tests/assets/scripts/struct.txt"));
}

#[test]
fn strings_are_as_a_real_servers() {
    compare(include_str!("../../../tests/assets/scripts/string.txt"));
}

#[test]
fn formats_are_as_a_real_servers() {
    compare(include_str!("../../../tests/assets/scripts/format.txt"));
}

#[test]
fn random_numbers_are_as_a_real_servers() {
    compare(include_str!("../../../tests/assets/scripts/random.txt"));
}
