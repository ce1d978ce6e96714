//! Writes JSON, as far as the page needs it. Whatever is in a text is escaped so that it is one string also within HTML.

use std::fmt::Write;

/// A value under construction: objects and arrays are closed by who opened them.
#[derive(Default)]
pub(super) struct Json {
    text: String,
    /// A comma goes before what comes next.
    comma: bool,
}

impl Json {
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn separate(&mut self) {
        if self.comma {
            self.text.push(',');
        }
        self.comma = true;
    }

    fn push_string(&mut self, s: &str) {
        self.text.push('"');
        for c in s.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    // Writing to a string cannot fail.
                    let _ = write!(self.text, "\\u{:04x}", c as u32);
                }
                c if c.is_control() => {
                    let _ = write!(self.text, "\\u{:04x}", c as u32);
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    /// The name of what comes next.
    pub(super) fn key(&mut self, name: &str) -> &mut Json {
        self.separate();
        self.push_string(name);
        self.text.push(':');
        self.comma = false;
        self
    }

    pub(super) fn open(&mut self, bracket: char) {
        self.separate();
        self.text.push(bracket);
        self.comma = false;
    }

    pub(super) fn close(&mut self, bracket: char) {
        self.text.push(bracket);
        self.comma = true;
    }

    pub(super) fn string(&mut self, s: &str) {
        self.separate();
        self.push_string(s);
    }

    pub(super) fn int(&mut self, n: i64) {
        self.separate();
        self.text.push_str(itoa::Buffer::new().format(n));
    }

    /// A number that is no whole one; what is none at all is null.
    pub(super) fn float(&mut self, v: f64) {
        self.separate();
        if v.is_finite() {
            let _ = write!(self.text, "{v}");
        } else {
            self.text.push_str("null");
        }
    }

    pub(super) fn bool(&mut self, v: bool) {
        self.separate();
        self.text.push_str(if v { "true" } else { "false" });
    }

    pub(super) fn null(&mut self) {
        self.separate();
        self.text.push_str("null");
    }

    pub(super) fn uint(&mut self, n: u64) {
        self.int(i64::try_from(n).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_break_out() {
        let mut j = Json::default();
        j.open('{');
        j.key("a").string("q\"\\\n</script>\u{2028}é");
        j.key("b").open('[');
        j.int(-3);
        j.float(1.5);
        j.float(f64::NAN);
        j.bool(true);
        j.null();
        j.close(']');
        j.key("c").open('{');
        j.close('}');
        j.close('}');
        assert_eq!(
            j.finish(),
            "{\"a\":\"q\\\"\\\\\\u000a\\u003c/script\\u003e\\u2028é\",\"b\":[-3,1.5,null,true,null],\"c\":{}}"
        );
    }
}
