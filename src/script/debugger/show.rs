//! Values of the machine, and replies, as the debugger's user reads them (ldbCatStackValue, ldbRedisProtocolToHuman).
//!
//! All functions append, and need not go on once there is more than `limit` bytes: the caller cuts.

use crate::base::num::string2ll;
use crate::base::split_args::sdscatrepr;
use crate::script::lua::{Kind, Stack};

/// Bytes of one entry, whatever its user asks for.
pub(super) const LONGEST: usize = 64 << 20;
/// Tables in tables (LDB_MAX_VALUES_DEPTH).
const DEPTH_MAX: usize = 10;
/// Arrays in arrays: replies are ours and have less.
const REPLY_DEPTH_MAX: usize = 64;

/// The value at index `at` of the stack.
pub(super) fn value(stack: &mut Stack, at: i32, out: &mut Vec<u8>, limit: usize) {
    let at = if at < 0 { stack.top() + at + 1 } else { at };
    nested(stack, at, out, limit, 0);
}

fn nested(stack: &mut Stack, at: i32, out: &mut Vec<u8>, limit: usize, depth: usize) {
    if depth == DEPTH_MAX || !stack.has_room(8) {
        out.extend_from_slice(b"<max recursion level reached! Nested table?>");
        return;
    }
    match stack.kind(at) {
        Kind::String => {
            let text = stack.bytes(at).unwrap_or_default();
            string(text, out, limit);
        }
        Kind::Boolean if stack.truth(at) => out.extend_from_slice(b"true"),
        Kind::Boolean => out.extend_from_slice(b"false"),
        Kind::Number => {
            let n = stack.number(at).unwrap_or(f64::NAN);
            out.extend_from_slice(percent_g(n).as_bytes());
        }
        Kind::Nil => out.extend_from_slice(b"nil"),
        Kind::Table => table(stack, at, out, limit, depth),
        Kind::Function => address(stack, at, "function", out),
        Kind::Light => address(stack, at, "light-userdata", out),
        Kind::Other => match stack.kind_name(at) {
            "cdata" => out.extend_from_slice(b"\"<unknown-lua-type>\""),
            name => address(stack, at, name, out),
        },
    }
}

fn address(stack: &Stack, at: i32, name: &str, out: &mut Vec<u8>) {
    let text = match stack.identity(at) {
        0 => format!("\"{name}@(nil)\""),
        address => format!("\"{name}@{address:#x}\""),
    };
    out.extend_from_slice(text.as_bytes());
}

/// In quotes; of a long one no more than the limit makes use of.
fn string(text: &[u8], out: &mut Vec<u8>, limit: usize) {
    let room = limit.saturating_sub(out.len()).saturating_add(1);
    sdscatrepr(out, &text[..text.len().min(room)]);
}

/// Whether the table's keys are 1, 2, ... in this order.
fn is_array(stack: &mut Stack, at: i32) -> bool {
    let top = stack.top();
    let mut expected = 1.0;
    stack.push_nil();
    while stack.next(at) {
        if stack.kind(-2) != Kind::Number || stack.number(-2) != Some(expected) {
            stack.truncate(top);
            return false;
        }
        expected += 1.0;
        stack.pop(1);
    }
    true
}

fn table(stack: &mut Stack, at: i32, out: &mut Vec<u8>, limit: usize, depth: usize) {
    let is_array = is_array(stack, at);
    let top = stack.top();
    out.push(b'{');
    stack.push_nil();
    let mut first = true;
    while out.len() <= limit && stack.next(at) {
        if !std::mem::take(&mut first) {
            out.extend_from_slice(b"; ");
        }
        if !is_array {
            out.push(b'[');
            nested(stack, top + 1, out, limit, depth + 1);
            out.extend_from_slice(b"]=");
        }
        nested(stack, top + 2, out, limit, depth + 1);
        stack.pop(1);
    }
    stack.truncate(top);
    out.push(b'}');
}

/// `%g` of C.
fn percent_g(n: f64) -> String {
    const DIGITS: i32 = 6;
    if !n.is_finite() {
        let sign = if n.is_sign_negative() { "-" } else { "" };
        return format!("{sign}{}", if n.is_nan() { "nan" } else { "inf" });
    }
    let scientific = format!("{n:.*e}", DIGITS as usize - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.to_string(),
    };
    if !(-4..DIGITS).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    trim(&format!("{n:.*}", (DIGITS - 1 - exponent) as usize))
}

/// A reply as it stands in the protocol.
pub(super) fn reply(bytes: &[u8], out: &mut Vec<u8>, limit: usize) {
    part(bytes, out, limit, 0);
}

/// Returns what follows the reply; none: it went no further.
fn part<'r>(bytes: &'r [u8], out: &mut Vec<u8>, limit: usize, depth: usize) -> Option<&'r [u8]> {
    if out.len() > limit || depth == REPLY_DEPTH_MAX {
        return None;
    }
    let end = memchr::memchr(b'\r', bytes)?;
    let (whole, text, rest) = (&bytes[..end], bytes.get(1..end)?, bytes.get(end + 2..)?);
    match *bytes.first()? {
        b':' => out.extend_from_slice(text),
        b'+' | b'-' => string(whole, out, limit),
        b'$' | b'=' => {
            let Some(len) = string2ll(text).and_then(|n| usize::try_from(n).ok()) else {
                out.extend_from_slice(b"NULL");
                return Some(rest);
            };
            string(rest.get(..len)?, out, limit);
            return rest.get(len + 2..);
        }
        b'*' => return parts(text, rest, out, limit, depth, ("[", "]", false)),
        b'~' => return parts(text, rest, out, limit, depth, ("~(", ")", false)),
        b'%' => return parts(text, rest, out, limit, depth, ("{", "}", true)),
        b'_' => out.extend_from_slice(b"(null)"),
        b'#' if text == b"t" => out.extend_from_slice(b"#true"),
        b'#' => out.extend_from_slice(b"#false"),
        b',' => {
            out.extend_from_slice(b"(double) ");
            out.extend_from_slice(text);
        }
        b'(' => {
            out.extend_from_slice(b"(big number) ");
            out.extend_from_slice(text);
        }
        _ => return None,
    }
    Some(rest)
}

fn parts<'r>(
    n: &[u8],
    mut rest: &'r [u8],
    out: &mut Vec<u8>,
    limit: usize,
    depth: usize,
    (open, close, pairs): (&str, &str, bool),
) -> Option<&'r [u8]> {
    let Some(n) = string2ll(n).filter(|n| *n >= 0) else {
        out.extend_from_slice(b"NULL");
        return Some(rest);
    };
    out.extend_from_slice(open.as_bytes());
    for i in 0..n {
        if i > 0 {
            out.push(b',');
        }
        rest = part(rest, out, limit, depth + 1)?;
        if pairs {
            out.extend_from_slice(b" => ");
            rest = part(rest, out, limit, depth + 1)?;
        }
    }
    out.extend_from_slice(close.as_bytes());
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::lua::Lua;

    #[test]
    fn numbers_as_c_writes_them() {
        for (n, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (100000.0, "100000"),
            (1000000.0, "1e+06"),
            (123456.7, "123457"),
            (999999.5, "1e+06"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.333333"),
            (0.0001, "0.0001"),
            (0.00001234567, "1.23457e-05"),
            (-1.5e100, "-1.5e+100"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(percent_g(n), text);
        }
    }

    fn shown(code: &str, limit: usize) -> String {
        let mut lua = Lua::<()>::new().expect("a machine");
        lua.compile(code.as_bytes(), c"@test").expect("well-formed");
        assert_eq!(lua.call_free(0), Ok(1));
        let mut out = b"> ".to_vec();
        value(&mut lua, -1, &mut out, limit);
        assert_eq!(lua.top(), 1);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn values() {
        for (code, text) in [
            ("return nil", "nil"),
            ("return 'a\"\\n\\255'", r#""a\"\n\xff""#),
            ("return {}", "{}"),
            (
                "return {1, 'x', {true, false}}",
                r#"{1; "x"; {true; false}}"#,
            ),
            ("return {a = {2}}", r#"{["a"]={2}}"#),
            ("return {[1.5] = 1}", "{[1.5]=1}"),
            ("return 1LL", "\"<unknown-lua-type>\""),
        ] {
            assert_eq!(shown(code, LONGEST), format!("> {text}"), "{code}");
        }
        assert!(shown("return print", LONGEST).starts_with("> \"function@0x"));
        assert!(shown("return coroutine.create(print)", LONGEST).starts_with("> \"thread@0x"));
        let deep = shown("local t = {} t[1] = t return t", LONGEST);
        let message = "<max recursion level reached! Nested table?>";
        assert_eq!(
            deep,
            format!("> {}{message}{}", "{".repeat(10), "}".repeat(10))
        );
    }

    #[test]
    fn what_is_cut_is_not_written() {
        // Ten tables in each of ten: nobody waits for all of that.
        let wide = "local t = {} for i = 1, 10 do t[i] = t end return t";
        let text = shown(wide, 1000);
        assert!((1000..3000).contains(&text.len()), "{}", text.len());
        assert!(shown("return ('x'):rep(100000)", 100).len() < 200);
        let mut out = Vec::new();
        reply(&b"*1000000\r\n:1\r\n:2\r\n"[..], &mut out, 3);
        assert_eq!(out, b"[1,2,");
    }

    #[test]
    fn replies() {
        for (proto, text) in [
            (":-1\r\n", "-1"),
            ("$-1\r\n", "NULL"),
            ("$2\r\n\r\n\r\n", r#""\r\n""#),
            ("+OK\r\n", r#""+OK""#),
            ("-ERR no\r\n", r#""-ERR no""#),
            ("*-1\r\n", "NULL"),
            ("*0\r\n", "[]"),
            ("*2\r\n:1\r\n*1\r\n$1\r\nx\r\n", r#"[1,["x"]]"#),
            ("~2\r\n:1\r\n:2\r\n", "~(1,2)"),
            (
                "%2\r\n+a\r\n:1\r\n+b\r\n_\r\n",
                r#"{"+a" => 1,"+b" => (null)}"#,
            ),
            ("*2\r\n#t\r\n#f\r\n", "[#true,#false]"),
            (",1.5\r\n", "(double) 1.5"),
            ("", ""),
            ("$9\r\nx", ""),
            ("*2\r\n:1", "["),
        ] {
            let mut out = Vec::new();
            reply(proto.as_bytes(), &mut out, LONGEST);
            assert_eq!(String::from_utf8_lossy(&out), text, "{proto:?}");
        }
        let mut out = Vec::new();
        reply("*1\r\n".repeat(100_000).as_bytes(), &mut out, LONGEST);
        assert_eq!(out.len(), REPLY_DEPTH_MAX);
    }
}
