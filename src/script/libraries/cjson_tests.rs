//! Tests of `cjson` against a model: a writer of texts that knows what the encoder has to make of what the decoder reads.

use proptest::prelude::*;

use super::cjson::number_text;
use super::testing::Machine;

/// A value, and its text as the encoder writes it.
#[derive(Clone, Debug)]
enum Model {
    Null,
    Bool(bool),
    Integer(i64),
    /// Hundredths that are no whole number.
    Hundredths(i64),
    Text(Vec<u8>),
    Array(Vec<Model>),
    /// Of one key: the order of several is the machine's.
    Object(Vec<u8>, Box<Model>),
}

impl Model {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Model::Null => out.extend_from_slice(b"null"),
            Model::Bool(b) => out.extend_from_slice(b.to_string().as_bytes()),
            Model::Integer(n) => out.extend_from_slice(n.to_string().as_bytes()),
            Model::Hundredths(n) => {
                let sign = if *n < 0 { "-" } else { "" };
                let n = n.unsigned_abs();
                let text = format!("{sign}{}.{:02}", n / 100, n % 100);
                out.extend_from_slice(text.trim_end_matches('0').as_bytes());
            }
            Model::Text(text) => write_text(text, out),
            // Without an element it is written as an object.
            Model::Array(values) if values.is_empty() => out.extend_from_slice(b"{}"),
            Model::Array(values) => {
                for (i, value) in values.iter().enumerate() {
                    out.push(if i == 0 { b'[' } else { b',' });
                    value.write(out);
                }
                out.push(b']');
            }
            Model::Object(key, value) => {
                out.push(b'{');
                write_text(key, out);
                out.push(b':');
                value.write(out);
                out.push(b'}');
            }
        }
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for b in text {
        match b {
            b'"' | b'\\' | b'/' => out.extend_from_slice(&[b'\\', *b]),
            8 => out.extend_from_slice(b"\\b"),
            9 => out.extend_from_slice(b"\\t"),
            10 => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            13 => out.extend_from_slice(b"\\r"),
            0..32 | 127 => out.extend_from_slice(format!("\\u{b:04x}").as_bytes()),
            _ => out.push(*b),
        }
    }
    out.push(b'"');
}

fn model() -> impl Strategy<Value = Model> {
    let text = prop::collection::vec(any::<u8>(), 0..20);
    let leaf = prop_oneof![
        Just(Model::Null),
        any::<bool>().prop_map(Model::Bool),
        (-99_999_999_999_999i64..=99_999_999_999_999).prop_map(Model::Integer),
        (-1000i64..1000).prop_map(Model::Integer),
        (-99_999_999_999i64..=99_999_999_999)
            .prop_filter("no whole number", |n| n % 100 != 0)
            .prop_map(Model::Hundredths),
        text.clone().prop_map(Model::Text),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Model::Array),
            (text.clone(), inner).prop_map(|(key, value)| Model::Object(key, Box::new(value))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_read_is_written_as_the_model_has_it(value in model()) {
        let mut text = Vec::new();
        value.write(&mut text);
        let found = Machine::new().run("return (cjson.encode(cjson.decode((...))))", &text);
        prop_assert_eq!(found, Ok(text));
    }

    #[test]
    fn numbers_have_the_digits_that_they_are_rounded_to(bits in any::<u64>(), precision in 1usize..=14) {
        let n = f64::from_bits(bits);
        prop_assume!(n.is_finite());
        check_number(n, precision);
    }

    #[test]
    fn short_decimals_are_as_the_long_way_has_them(units in -1_000_000_000_000i64..1_000_000_000_000, places in 0i32..8) {
        check_number(units as f64 / 10f64.powi(places), 14);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        check_any(&bytes);
    }

    #[test]
    fn a_text_with_a_fault_is_a_value_or_an_error(
        value in model(),
        at in any::<prop::sample::Index>(),
        by in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut text = Vec::new();
        value.write(&mut text);
        let i = at.index(text.len());
        if cut { text.truncate(i) } else { text[i] = by }
        check_any(&text);
    }

    #[test]
    fn brackets_and_quotes_are_a_value_or_an_error(text in "[\\[\\]{},:\"\\\\u0-9a.e+-]{0,30}") {
        check_any(text.as_bytes());
    }
}

/// The text's value is that of the digits that Rust rounds to, and no shorter text stands for it.
fn check_number(n: f64, precision: usize) {
    let text = String::from_utf8(number_text(n, precision)).expect("digits");
    let rounded = format!("{:.*e}", precision - 1, n);
    assert_eq!(
        text.parse::<f64>(),
        rounded.parse::<f64>(),
        "{n:e} {precision}: {text}"
    );
    let mantissa = text.split('e').next().unwrap_or_default();
    assert!(
        !mantissa.contains('.') || !mantissa.ends_with(['0', '.']),
        "{text}"
    );
    let exponent: i32 = rounded
        .split_once('e')
        .and_then(|(_, e)| e.parse().ok())
        .expect("an exponent");
    assert_eq!(
        text.contains('e'),
        exponent < -4 || exponent >= precision as i32,
        "{text}"
    );
}

fn check_any(bytes: &[u8]) {
    let mut machine = Machine::new();
    if let Err(text) = machine.run("return (type(cjson.decode((...))))", bytes) {
        let text = String::from_utf8(text).expect("a text");
        let text = text.trim_start_matches("user_script:1: ");
        let known = ["Expected ", "Found too many ", "JSON parser does not"];
        assert!(known.iter().any(|k| text.starts_with(k)), "{text}");
    }
}

#[test]
fn depth_is_bounded_whatever_is_allowed() {
    let mut machine = Machine::new();
    let found = machine.eval(
        "(function() cjson.encode_max_depth(2^31-1) local t = {} t[1] = {t} return cjson.encode(t) end)()",
    );
    assert!(found.contains("excessive nesting (79"), "{found}");
    for open in ["[", "{\"a\":"] {
        let text = open.repeat(1_000_000);
        let found = machine.eval_with(
            "cjson.decode_max_depth(2^31-1) and cjson.decode(arg)",
            text.as_bytes(),
        );
        assert!(found.contains("Found too many nested"), "{found}");
    }
}

#[test]
fn what_would_be_too_large_is_refused() {
    let mut machine = Machine::new();
    // Every level doubles it.
    let found = machine.eval(
        "(function() local t = {string.rep('x', 1000)} for i = 1, 40 do t = {t, t} end return cjson.encode(t) end)()",
    );
    assert_eq!(found, "ERR \"Cannot serialise, result too large\"");
}

#[test]
fn nested_mixed_tables_are_not_written_again_and_again() {
    // Each level begins like an array, and is none: writing what is below twice would take 2^900 steps.
    let mut machine = Machine::new();
    let found = machine.eval(
        "(function() local t = {1} for i = 1, 900 do t = {t, x = 1} end return #cjson.encode(t) end)()",
    );
    assert_eq!(found, format!("{}", 3 + 900 * "{\"1\":,\"x\":1}".len()));
}

#[test]
fn options_last_until_the_reset() {
    let mut machine = Machine::new();
    let set = "cjson.encode_max_depth(5), cjson.encode_invalid_numbers('null'), cjson.decode_invalid_numbers(false), \
               cjson.encode_number_precision(3), cjson.encode_keep_buffer(false), cjson.decode_max_depth(7)";
    assert_eq!(machine.eval(set), "5 \"null\" false 3 false 7");
    let get = "cjson.encode_max_depth(), cjson.encode_invalid_numbers(), cjson.decode_invalid_numbers(), \
               cjson.encode_number_precision(), cjson.encode_keep_buffer(), cjson.decode_max_depth()";
    assert_eq!(machine.eval(get), "5 \"null\" false 3 false 7");
    machine.host.state.reset();
    assert_eq!(machine.eval(get), "1000 false true 14 true 1000");
}

#[test]
fn buffers_are_not_kept_large() {
    let mut machine = Machine::new();
    let found =
        machine.eval("#cjson.encode(cjson.decode('\"' .. string.rep('a\\\\n', 1000000) .. '\"'))");
    assert_eq!(found, "3000002");
    assert!(machine.host.state.kept_bytes() <= 3 * super::KEPT_BYTES);
}
