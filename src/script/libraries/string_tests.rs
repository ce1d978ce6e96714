//! Tests of the pattern functions against a model: a matcher that recurses over the pattern's items, without any shortcut.

use proptest::prelude::*;

use super::super::lua::Verdict;
use super::testing::{Machine, ToyHost};

/// One character's worth of a pattern.
#[derive(Clone, Debug)]
enum Single {
    Any,
    Literal(u8),
    Digit,
    Letter,
    NotDigit,
    Range(bool, u8, u8),
}

#[derive(Clone, Copy, Debug)]
enum Times {
    Once,
    Star,
    Plus,
    Minus,
    Maybe,
}

#[derive(Clone, Debug)]
enum Piece {
    Item(Single, Times),
    Capture(Vec<Piece>),
    Place,
}

impl Single {
    fn text(&self) -> String {
        match self {
            Single::Any => ".".into(),
            Single::Literal(b) if b.is_ascii_alphanumeric() => char::from(*b).into(),
            Single::Literal(b) => format!("%{}", char::from(*b)),
            Single::Digit => "%d".into(),
            Single::Letter => "%a".into(),
            Single::NotDigit => "%D".into(),
            Single::Range(not, a, b) => {
                let not = if *not { "^" } else { "" };
                format!("[{not}{}-{}]", char::from(*a), char::from(*b))
            }
        }
    }

    fn is(&self, c: u8) -> bool {
        match self {
            Single::Any => true,
            Single::Literal(b) => *b == c,
            Single::Digit => c.is_ascii_digit(),
            Single::Letter => c.is_ascii_alphabetic(),
            Single::NotDigit => !c.is_ascii_digit(),
            Single::Range(not, a, b) => (*a <= c && c <= *b) != *not,
        }
    }
}

fn text(pieces: &[Piece]) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Item(single, times) => {
                let times = match times {
                    Times::Once => "",
                    Times::Star => "*",
                    Times::Plus => "+",
                    Times::Minus => "-",
                    Times::Maybe => "?",
                };
                single.text() + times
            }
            Piece::Capture(pieces) => format!("({})", text(pieces)),
            Piece::Place => "()".into(),
        })
        .collect()
}

/// A step of the model: what is left to match.
#[derive(Clone, Debug)]
enum Step {
    Item(Single, Times),
    Open(usize),
    Close(usize),
    Place(usize),
}

fn steps(pieces: &[Piece], captures: &mut usize, out: &mut Vec<Step>) {
    for piece in pieces {
        match piece {
            Piece::Item(single, times) => out.push(Step::Item(single.clone(), *times)),
            Piece::Place => {
                out.push(Step::Place(*captures));
                *captures += 1;
            }
            Piece::Capture(pieces) => {
                let i = *captures;
                *captures += 1;
                out.push(Step::Open(i));
                steps(pieces, captures, out);
                out.push(Step::Close(i));
            }
        }
    }
}

/// The end of the match of all steps at `at`, which must be the subject's where `to_end` says so. Captures are begin and end, a
/// place has an end before its begin.
fn model(
    s: &[u8],
    at: usize,
    steps: &[Step],
    to_end: bool,
    captures: &mut Vec<(usize, usize)>,
) -> Option<usize> {
    let Some((step, rest)) = steps.split_first() else {
        return (!to_end || at == s.len()).then_some(at);
    };
    let Step::Item(single, times) = step else {
        match step {
            Step::Open(i) => captures[*i].0 = at,
            Step::Close(i) => captures[*i].1 = at,
            Step::Place(i) => captures[*i] = (at + 1, 0),
            Step::Item(..) => {}
        }
        return model(s, at, rest, to_end, captures);
    };
    let fits = s[at..].iter().take_while(|c| single.is(**c)).count();
    let counts: Vec<usize> = match times {
        Times::Once => (1..=fits.min(1)).collect(),
        Times::Star => (0..=fits).rev().collect(),
        Times::Plus => (1..=fits).rev().collect(),
        Times::Minus => (0..=fits).collect(),
        Times::Maybe => (0..=fits.min(1)).rev().collect(),
    };
    counts.into_iter().find_map(|n| {
        let mut tried = captures.clone();
        let end = model(s, at + n, rest, to_end, &mut tried)?;
        *captures = tried;
        Some(end)
    })
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let single = prop_oneof![
        Just(Single::Any),
        prop::sample::select(b"abc1. ".to_vec()).prop_map(Single::Literal),
        Just(Single::Digit),
        Just(Single::Letter),
        Just(Single::NotDigit),
        (
            any::<bool>(),
            prop::sample::select(b"ab1".to_vec()),
            prop::sample::select(b"bc3".to_vec())
        )
            .prop_map(|(not, a, b)| Single::Range(not, a, b)),
    ];
    let times = prop::sample::select(vec![
        Times::Once,
        Times::Once,
        Times::Star,
        Times::Plus,
        Times::Minus,
        Times::Maybe,
    ]);
    let leaf = prop_oneof![
        8 => (single, times).prop_map(|(s, t)| Piece::Item(s, t)),
        1 => Just(Piece::Place),
    ];
    let piece = leaf.prop_recursive(2, 8, 4, |inner| {
        prop::collection::vec(inner, 1..4).prop_map(Piece::Capture)
    });
    prop::collection::vec(piece, 0..6)
}

/// What `string.find` has to return, as `show` shows it.
fn expected(s: &[u8], pieces: &[Piece], anchored: bool, tail: bool) -> String {
    let mut all = Vec::new();
    let mut n = 0;
    steps(pieces, &mut n, &mut all);
    let last = if anchored { 0 } else { s.len() };
    for start in 0..=last {
        let mut captures = vec![(0, 0); n];
        if let Some(end) = model(s, start, &all, tail, &mut captures) {
            let mut shown = format!("{} {end}", start + 1);
            for (from, to) in captures {
                if to < from {
                    shown.push_str(&format!(" {from}"));
                } else {
                    shown.push_str(&format!(" \"{}\"", String::from_utf8_lossy(&s[from..to])));
                }
            }
            return shown;
        }
    }
    "nil".into()
}

const KNOWN: [&str; 10] = [
    "malformed pattern (",
    "missing '[' after '%f' in pattern",
    "unbalanced pattern",
    "invalid capture index",
    "invalid pattern capture",
    "unfinished capture",
    "too many captures",
    "pattern too complex",
    "invalid replacement value",
    "resulting string too large",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pattern_matches_where_the_model_says(
        pieces in pieces(),
        subject in "[abc123. ]{0,12}",
        anchored in any::<bool>(),
        tail in any::<bool>(),
    ) {
        let pattern = format!(
            "{}{}{}",
            if anchored { "^" } else { "" },
            text(&pieces),
            if tail { "$" } else { "" }
        );
        let found = Machine::new().eval_with(&format!("string.find(arg, '{pattern}')"), subject.as_bytes());
        prop_assert_eq!(found, expected(subject.as_bytes(), &pieces, anchored, tail), "{} {}", subject, pattern);
    }

    #[test]
    fn whole_matches_and_what_is_between_are_the_subject(pieces in pieces(), subject in "[abc12 ]{0,16}") {
        let mut machine = Machine::new();
        let pattern = text(&pieces);
        let same = machine.eval_with(&format!("(string.gsub(arg, '{pattern}', '%0'))"), subject.as_bytes());
        prop_assert_eq!(same, format!("\"{subject}\""));
    }

    #[test]
    fn any_pattern_matches_or_fails(
        pattern in prop::collection::vec(prop_oneof![
            prop::sample::select(b"()[]^$%*+-?.bf0129acdwxz".to_vec()), any::<u8>()], 0..14),
        subject in prop::collection::vec(prop::sample::select(b"abc()x%1\0\xff".to_vec()), 0..14),
        replacement in prop::sample::select(vec!["'%0'", "'%1%2'", "'%'", "{a=1}", "function(a, b) return b end"]),
    ) {
        let mut arg = subject.clone();
        arg.push(b'\n');
        arg.extend_from_slice(&pattern);
        let cut = subject.len();
        for call in [
            "string.find(s, p)".to_string(),
            "string.match(s, p, -3)".to_string(),
            format!("string.gsub(s, p, {replacement})"),
            "(function() local n = 0 for w in string.gmatch(s, p) do n = n + 1 end return n end)()".to_string(),
        ] {
            let code = format!("local s, p = (...):sub(1, {cut}), (...):sub({cut} + 2) local r = {call} return 'fine'");
            if let Err(text) = Machine::new().run(&code, &arg) {
                let text = String::from_utf8_lossy(&text).into_owned();
                let text = text.trim_start_matches("user_script:1: ");
                prop_assert!(KNOWN.iter().any(|k| text.starts_with(k)), "{}", text);
            }
        }
    }
}

#[test]
fn repetitions_are_bounded_and_nothing_costs_nothing() {
    let mut machine = Machine::new();
    for (call, wanted) in [
        ("string.rep('', 1e15)", "\"\""),
        (
            "string.rep('x', 1e15)",
            "ERR \"resulting string too large\"",
        ),
        (
            "string.rep('x', 2^63)",
            "ERR \"resulting string too large\"",
        ),
        ("string.rep('x', 1/0)", "ERR \"resulting string too large\""),
        ("string.rep('x', 0/0)", "\"\""),
        ("string.rep('x', -1/0)", "\"\""),
        (
            "string.rep('ab', 2^28 + 1)",
            "ERR \"resulting string too large\"",
        ),
        (
            "string.gsub(string.rep('x', 1e6), 'x', string.rep('y', 1e6))",
            "ERR \"resulting string too large\"",
        ),
        (
            "string.gsub('x', 'x', string.rep('%0', 10)) == string.rep('x', 10)",
            "true",
        ),
    ] {
        assert_eq!(machine.eval(call), wanted, "{call}");
    }
}

#[test]
fn a_long_pattern_is_too_complex_and_no_overflow() {
    let mut machine = Machine::new();
    let found = machine.eval("string.find(string.rep('a', 100000), string.rep('a?', 100000))");
    assert_eq!(found, "ERR \"pattern too complex\"");
    let found = machine.eval("string.find(string.rep('a', 60000), string.rep('a?', 60000))");
    assert_eq!(found, "1 60000");
}

#[test]
fn replacements_that_replace_are_bounded() {
    let found = Machine::new().eval(
        "(function() local function f(s) return (string.gsub(s, '.', f)) end return f('a') end)()",
    );
    assert_eq!(found, "ERR \"C stack overflow\"");
}

/// The variable that is set for a process of its own.
const ALONE: &str = "AEDILE_TEST_ALONE";

/// The timer and what it sets belong to the process: [`what_never_ends_is_interrupted`] runs this in one of its own, and elsewhere
/// there is nothing to do.
#[test]
fn alone() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    fn interrupt(host: &mut ToyHost) -> Verdict {
        host.interrupts += 1;
        if host.interrupts > host.killed_after {
            Verdict::Kill
        } else {
            Verdict::Continue
        }
    }
    let never_ends = [
        "string.find(string.rep('a', 3000), string.rep('a-', 12) .. 'b')",
        "string.match(string.rep('a', 3000), string.rep('(.*)', 12) .. 'b')",
        "string.gsub(string.rep('a', 3000), string.rep('a*', 12) .. 'b', '')",
        "string.gmatch(string.rep('a', 3000), string.rep('a-', 12) .. 'b')()",
        "cmsgpack.pack((function() local t = {} for i = 1, 15 do t = {t, {}, t, {}, t, {}, t} end return t end)())",
        "cjson.encode((function() local t = {} for i = 1, 30 do t = {t, {}, t, {}, t, {}, t} end return t end)())",
    ];
    for call in never_ends {
        let mut machine = Machine::new();
        machine.lua.set_interrupt(interrupt);
        machine.host.killed_after = 3;
        let code = format!("return {call}");
        let ended = machine.run_timed(&code, b"", Some(1000));
        assert_eq!(ended, None, "{call}");
        assert_eq!(machine.host.interrupts, 4, "{call}");
        // And the machine runs the next one.
        assert_eq!(machine.eval("string.find('ab', 'b')"), "2 2");
    }
    // One that is interrupted and goes on has the result that it would have had.
    let mut machine = Machine::new();
    machine.lua.set_interrupt(interrupt);
    machine.host.killed_after = u32::MAX;
    let code = "local s = string.rep('a', 400) \
                return (string.find(s, 'a-a-b')) == nil and (string.find(s .. 'b', '(a-)(a-)b')) == 1 and 'right'";
    let ended = machine.run_timed(code, b"", Some(1));
    assert_eq!(ended, Some(Ok(b"right".to_vec())));
    assert!(machine.host.interrupts > 0);
}

#[test]
fn what_never_ends_is_interrupted() {
    let name = module_path!().split_once("::").map_or("", |(_, rest)| rest);
    let exe = std::env::current_exe().expect("the test's own file");
    let out = std::process::Command::new(exe)
        .args(["--exact", &format!("{name}::alone")])
        .env(ALONE, "1")
        .output()
        .expect("a process");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success() && said.contains("1 passed"), "{said}");
}
