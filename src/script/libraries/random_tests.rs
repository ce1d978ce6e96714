//! Tests of the random numbers.

use super::testing::Machine;

#[test]
fn a_seed_lasts_until_the_reset_and_changes_nothing_beyond() {
    let draw = "math.random(), math.random(1000), math.random(-5, 5)";
    let mut untouched = Machine::new();
    let mut machine = Machine::new();
    assert_eq!(machine.eval(draw), untouched.eval(draw));
    let seeded = "(function() math.randomseed(7) math.randomseed(8) return k(math.random(), math.random(5)) end)()";
    let first = machine.eval(seeded);
    machine.host.state.reset();
    assert_eq!(machine.eval(draw), untouched.eval(draw));
    assert_eq!(machine.eval(seeded), first);
    assert_eq!(machine.eval(seeded), first);
}

#[test]
fn a_host_may_seed_for_good() {
    let mut machine = Machine::new();
    machine.host.state.seed_random(0);
    machine.host.state.reset();
    assert_eq!(machine.eval("math.random()"), "0.1708280361121651");
}

#[test]
fn numbers_are_within_their_interval() {
    let code = "(function() for i = 1, 10000 do \
                local r, n, m = math.random(), math.random(6), math.random(-3, 3) \
                if r < 0 or r >= 1 or n < 1 or n > 6 or n % 1 ~= 0 or m < -3 or m > 3 then return false end \
                end return true end)()";
    assert_eq!(Machine::new().eval(code), "true");
}
