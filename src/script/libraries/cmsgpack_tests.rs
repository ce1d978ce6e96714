//! Tests of `cmsgpack` against a model that writes the format by its description.

use proptest::prelude::*;

use super::testing::Machine;

#[derive(Clone, Debug)]
enum Model {
    Nil,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Bytes(Vec<u8>),
    Array(Vec<Model>),
    /// Of one key, which is a string: the order of several is the machine's.
    Map(Vec<u8>, Box<Model>),
}

impl Model {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Model::Nil => out.push(0xc0),
            Model::Bool(b) => out.push(0xc2 + u8::from(*b)),
            Model::Integer(n) => write_integer(*n, out),
            Model::Float(n) if f64::from(*n as f32) == *n => {
                out.push(0xca);
                out.extend_from_slice(&(*n as f32).to_be_bytes());
            }
            Model::Float(n) => {
                out.push(0xcb);
                out.extend_from_slice(&n.to_be_bytes());
            }
            Model::Bytes(b) => write_bytes(b, out),
            Model::Array(values) => {
                if values.len() < 16 {
                    out.push(0x90 + values.len() as u8);
                } else {
                    out.push(0xdc);
                    out.extend_from_slice(&(values.len() as u16).to_be_bytes());
                }
                values.iter().for_each(|v| v.write(out));
            }
            Model::Map(key, value) => {
                out.push(0x81);
                write_bytes(key, out);
                value.write(out);
            }
        }
    }
}

fn write_bytes(b: &[u8], out: &mut Vec<u8>) {
    match b.len() {
        n if n < 32 => out.push(0xa0 + n as u8),
        n if n < 256 => out.extend_from_slice(&[0xd9, n as u8]),
        n => {
            out.push(0xda);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(b);
}

fn write_integer(n: i64, out: &mut Vec<u8>) {
    let bits = 64 - if n < 0 { !n } else { n }.leading_zeros();
    let (first, bytes) = if n < 0 {
        match bits {
            0..=5 => return out.push(n as u8),
            6..=7 => (0xd0, 1),
            8..=15 => (0xd1, 2),
            16..=31 => (0xd2, 4),
            _ => (0xd3, 8),
        }
    } else {
        match bits {
            0..=7 => return out.push(n as u8),
            8 => (0xcc, 1),
            9..=16 => (0xcd, 2),
            17..=32 => (0xce, 4),
            _ => (0xcf, 8),
        }
    };
    out.push(first);
    out.extend_from_slice(&n.to_be_bytes()[8 - bytes..]);
}

fn model() -> impl Strategy<Value = Model> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(any::<u8>(), 250..260),
    ];
    let leaf = prop_oneof![
        any::<bool>().prop_map(Model::Bool),
        (0u32..54, any::<i64>()).prop_map(|(bits, n)| Model::Integer(n >> (63 - bits))),
        (-300i64..300).prop_map(Model::Integer),
        any::<f64>()
            .prop_filter("no whole number", |n| n.fract() != 0.0)
            .prop_map(Model::Float),
        any::<f32>()
            .prop_filter("no whole number", |n| n.fract() != 0.0 && !n.is_nan())
            .prop_map(|n| Model::Float(f64::from(n))),
        bytes.clone().prop_map(Model::Bytes),
    ];
    leaf.prop_recursive(5, 64, 20, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Model::Array),
            (bytes.clone(), inner).prop_map(|(key, value)| Model::Map(key, Box::new(value))),
        ]
    })
}

const KNOWN: [&str; 5] = [
    "Missing bytes in input.",
    "Bad data format in input.",
    "table index is ",
    "stack overflow (",
    "Start offset ",
];

fn check_any(bytes: &[u8]) {
    let mut machine = Machine::new();
    if let Err(text) = machine.run("return (select('#', cmsgpack.unpack((...))))", bytes) {
        let text = String::from_utf8(text).expect("a text");
        let text = text.trim_start_matches("user_script:1: ");
        assert!(KNOWN.iter().any(|k| text.starts_with(k)), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_read_is_written_as_the_model_has_it(
        values in prop::collection::vec(prop_oneof![9 => model(), 1 => Just(Model::Nil)], 1..5),
    ) {
        let mut bytes = Vec::new();
        values.iter().for_each(|v| v.write(&mut bytes));
        let mut machine = Machine::new();
        let found = machine.run("return (cmsgpack.pack(cmsgpack.unpack((...))))", &bytes);
        prop_assert_eq!(found.as_ref(), Ok(&bytes));
        // One by one, each from where the one before has ended.
        let code = "local s, at, all = (...), 0, '' \
                    while at >= 0 do local v at, v = cmsgpack.unpack_one(s, at) all = all .. cmsgpack.pack(v) end \
                    return all";
        prop_assert_eq!(machine.run(code, &bytes), Ok(bytes));
    }

    #[test]
    fn any_bytes_are_values_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        check_any(&bytes);
    }

    #[test]
    fn headers_of_tables_are_values_or_an_error(
        bytes in prop::collection::vec(
            prop_oneof![0x80u8..0xa0, 0xdcu8..=0xdf, Just(0u8), Just(0xff), any::<u8>()], 0..60),
    ) {
        check_any(&bytes);
    }

    #[test]
    fn values_with_a_fault_are_values_or_an_error(
        value in model(),
        at in any::<prop::sample::Index>(),
        by in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        let i = at.index(bytes.len());
        if cut { bytes.truncate(i) } else { bytes[i] = by }
        check_any(&bytes);
    }
}

#[test]
fn a_table_is_not_made_larger_than_its_input() {
    let mut machine = Machine::new();
    let before = machine.lua.memory();
    // Each level says that it has 65,535 elements.
    let bytes = [0xdc, 0xff, 0xff].repeat(3000);
    let found = machine.eval_with("cmsgpack.unpack(arg)", &bytes);
    assert_eq!(found, "ERR \"Missing bytes in input.\"");
    let taken = machine.lua.memory().saturating_sub(before);
    assert!(taken < 4 << 20, "{taken}");
}

#[test]
fn what_would_be_too_large_is_refused() {
    let found = Machine::new().eval(
        "(function() local t = {string.rep('x', 100000)} for i = 1, 14 do t = {t, t, t} end return cmsgpack.pack(t) end)()",
    );
    assert_eq!(found, "ERR \"result too large\"");
}
