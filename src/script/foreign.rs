//! What this machine understands and Lua 5.1 does not, found in a text before it is compiled: a script that runs here has to run,
//! and to mean the same, in every other server; a library that Redis cannot load stops it from starting.
//!
//! Numbers of the machine's own (`1LL`, `2i`, `0b1`, `1_000`), names with bytes beyond ASCII, labels, more operators (`!=`, `&&`,
//! `+=`, `a ? b : c`, ...), `const` and `continue`, a first line that is passed over, long brackets within each other. Escapes that
//! it alone knows, or does not know, are no error in Lua 5.1: the backslash counts for nothing there.
//!
//! And what would take the compiler without an end: long chains of operators and branches.
//!
//! A text is walked over once, and nothing is kept of it but what was found, and its tokens where they are asked for.

use super::lexer::{Kind, Lexer, Token, is_keyword};

/// What was found in a text.
#[derive(Default)]
pub(super) struct Found {
    /// Where a backslash stands that counts for nothing, in rising order.
    pub escapes: Vec<usize>,
    /// Why it may not be compiled, behind its source's name.
    pub problem: Option<String>,
    /// It is made of tokens to its end. What is not has to be refused by the compiler, too.
    pub well_formed: bool,
    /// All of its tokens, where they were to be kept.
    pub tokens: Vec<Token>,
}

/// Some tokens in a row.
struct Window<'t> {
    text: &'t [u8],
    before: Option<Token>,
    this: Token,
    next: Option<Token>,
    after: Option<Token>,
}

/// What the compiler needs the square of the time for, and cannot be interrupted in: it walks from each `and` and `or` of a value over
/// those before it, and so it does with the `elseif` of a statement and the `break` of a loop.
struct Chains {
    /// Brackets and blocks that are open.
    depth: usize,
    /// For each of them, the operators of the value that is being read.
    operators: [u32; Chains::DEPTHS],
    /// For each of them, its `elseif`.
    branches: [u32; Chains::DEPTHS],
    breaks: u32,
    /// Steps that the compiler will have taken.
    steps: u64,
}

impl Chains {
    /// More than the compiler takes.
    const DEPTHS: usize = 256;
    /// A third of a second. As one value it has more operators than the compiler can make jumps for, nearly.
    const MAX_STEPS: u64 = 1 << 26;

    fn new() -> Chains {
        Chains {
            depth: 0,
            operators: [0; Chains::DEPTHS],
            branches: [0; Chains::DEPTHS],
            breaks: 0,
            steps: 0,
        }
    }

    fn open(&mut self) {
        self.depth += 1;
        *self.operators() = 0;
        *self.branches() = 0;
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            self.breaks = 0;
        }
    }

    fn operators(&mut self) -> &mut u32 {
        &mut self.operators[self.depth.min(Chains::DEPTHS - 1)]
    }

    fn branches(&mut self) -> &mut u32 {
        &mut self.branches[self.depth.min(Chains::DEPTHS - 1)]
    }

    /// Whether it is too much with the middle of the window.
    fn is_too_long(&mut self, w: &Window) -> bool {
        match w.this.kind {
            Kind::Sign(b'(' | b'{' | b'[') => self.open(),
            Kind::Sign(b')' | b'}' | b']') => self.close(),
            Kind::Sign(b',' | b';') => *self.operators() = 0,
            Kind::Sign(b'=') if !w.is_comparison() => *self.operators() = 0,
            Kind::Word => match w.bytes(&w.this) {
                b"and" | b"or" => {
                    *self.operators() += 1;
                    self.steps += u64::from(*self.operators());
                }
                b"if" | b"function" | b"do" | b"repeat" => self.open(),
                b"end" => self.close(),
                b"until" => {
                    self.close();
                    *self.operators() = 0;
                }
                b"elseif" => {
                    *self.operators() = 0;
                    *self.branches() += 1;
                    self.steps += u64::from(*self.branches());
                }
                b"break" => {
                    self.breaks += 1;
                    self.steps += u64::from(self.breaks);
                }
                b"while" | b"return" | b"local" | b"then" | b"else" | b"in" | b"for" => {
                    *self.operators() = 0;
                }
                _ => {}
            },
            _ => {}
        }
        self.steps > Chains::MAX_STEPS
    }
}

/// Walks over `text`, and keeps its tokens if `keep`.
pub(super) fn look(text: &[u8], keep: bool) -> Found {
    let mut found = Found::default();
    if text.starts_with(b"\x1b") {
        // Binary code, which the compiler is not given.
        return found;
    }
    if text.starts_with(b"#") {
        found.problem = Some("1: unexpected symbol near '#'".into());
    } else if text.starts_with(b"\xef\xbb\xbf") {
        found.problem = Some("1: unexpected symbol near 'char(239)'".into());
    }
    let mut lexer = Lexer::new(text);
    let mut chains = Chains::new();
    let mut window: [Option<Token>; 4] = [None; 4];
    loop {
        let token = match lexer.next() {
            Some(token) => token,
            None => {
                found.well_formed = false;
                break;
            }
        };
        if let Some(t) = &token {
            foreign_escapes(text, t, &mut found.escapes);
            if keep {
                found.tokens.push(*t);
            }
        }
        window.rotate_left(1);
        window[3] = token;
        let [before, this, next, after] = window;
        if let (Some(this), None) = (this, &found.problem) {
            let w = Window {
                text,
                before,
                this,
                next,
                after,
            };
            let too_long = chains.is_too_long(&w);
            let too_long = || too_long.then(|| w.near("control structure too long"));
            if let Some(problem) = w.problem().or_else(too_long) {
                found.problem = Some(at_line(text, this.start, &problem));
            }
        }
        // The last one of the text has been the middle of a window.
        if token.is_none() && window[2].is_none() {
            found.well_formed = true;
            break;
        }
    }
    if let (Some(at), None) = (lexer.nested_bracket(), &found.problem) {
        let text_of = "nesting of [[...]] is deprecated near '['";
        found.problem = Some(at_line(text, at, text_of));
    }
    found
}

fn at_line(text: &[u8], at: usize, problem: &str) -> String {
    let line = 1 + memchr::memchr_iter(b'\n', &text[..at]).count();
    format!("{line}: {problem}")
}

impl Window<'_> {
    fn bytes(&self, t: &Token) -> &[u8] {
        &self.text[t.start..t.end]
    }

    /// The sign that follows this one without a blank.
    fn joined(&self) -> Option<u8> {
        match self.next {
            Some(Token {
                kind: Kind::Sign(c),
                start,
                ..
            }) if start == self.this.end => Some(c),
            _ => None,
        }
    }

    /// This `=` is part of `==`, `<=`, `>=` or `~=`.
    fn is_comparison(&self) -> bool {
        let behind = match self.before {
            Some(Token {
                kind: Kind::Sign(c),
                end,
                ..
            }) => end == self.this.start && matches!(c, b'=' | b'<' | b'>' | b'~'),
            _ => false,
        };
        behind || self.joined() == Some(b'=')
    }

    fn near(&self, what: &str) -> String {
        let word = String::from_utf8_lossy(self.bytes(&self.this)).into_owned();
        format!("{what} near '{word}'")
    }

    fn problem(&self) -> Option<String> {
        let near = |what: &str| Some(self.near(what));
        const UNEXPECTED: &str = "unexpected symbol";
        match self.this.kind {
            Kind::Sign(c) => {
                let next = self.next.map(|t| t.kind);
                let assigns = |t: Option<Kind>| t == Some(Kind::Sign(b'='));
                let foreign = match c {
                    b'!' | b'&' | b'|' | b'?' | b'@' | b'$' | b'`' | b'\\' => true,
                    b'~' => self.joined() != Some(b'='),
                    b'<' | b'>' | b':' | b'/' if self.joined() == Some(c) => true,
                    b'-' if self.joined() == Some(b'>') => true,
                    b'+' | b'-' | b'*' | b'/' | b'%' | b'^' => assigns(next),
                    b'.' => self.joined() == Some(b'.') && assigns(self.after.map(|t| t.kind)),
                    _ => false,
                };
                if foreign { near(UNEXPECTED) } else { None }
            }
            Kind::Literal => {
                let word = self.bytes(&self.this);
                if !word.first().is_some_and(u8::is_ascii_digit) {
                    return None;
                }
                let hexadecimal = matches!(word, [b'0', b'x' | b'X', ..]);
                let fraction = hexadecimal
                    && self.joined() == Some(b'.')
                    && self.after.is_none_or(|t| t.kind != Kind::Sign(b'.'));
                let foreign = matches!(word.last(), Some(b'i' | b'I' | b'l' | b'L'))
                    || matches!(word, [b'0', b'b' | b'B', ..])
                    || word.iter().any(|b| *b == b'_' || *b >= 0x80)
                    || fraction;
                if foreign {
                    near("malformed number")
                } else {
                    None
                }
            }
            Kind::Word => {
                let word = self.bytes(&self.this);
                if word.iter().any(|b| *b >= 0x80) {
                    return near(UNEXPECTED);
                }
                let statement = matches!(word, b"const" | b"continue") && self.begins_statement();
                if !statement || !self.is_followed_by_a_word() {
                    return None;
                }
                let next = match &self.next {
                    Some(t) => String::from_utf8_lossy(self.bytes(t)).into_owned(),
                    None => "<eof>".into(),
                };
                Some(format!("'=' expected near '{next}'"))
            }
        }
    }

    /// A statement begins with this word.
    fn begins_statement(&self) -> bool {
        let Some(before) = &self.before else {
            return true;
        };
        match before.kind {
            Kind::Literal => true,
            Kind::Sign(c) => matches!(c, b')' | b']' | b'}' | b';'),
            Kind::Word => {
                let word = self.bytes(before);
                matches!(word, b"do" | b"then" | b"else" | b"repeat") || !is_keyword(word)
            }
        }
    }

    /// What follows can neither call nor index this word, nor assign to it.
    fn is_followed_by_a_word(&self) -> bool {
        match &self.next {
            None => true,
            Some(t) => match t.kind {
                Kind::Word => true,
                Kind::Sign(c) => c == b';',
                Kind::Literal => self.text[t.start].is_ascii_digit(),
            },
        }
    }
}

/// Adds where a string has a backslash before a character that it changes nothing of in Lua 5.1.
fn foreign_escapes(text: &[u8], token: &Token, places: &mut Vec<usize>) {
    if token.kind != Kind::Literal || !matches!(text[token.start], b'\'' | b'"') {
        return;
    }
    let mut at = token.start + 1;
    while let Some(n) = memchr::memchr(b'\\', &text[at..token.end]) {
        let known = |c: &u8| c.is_ascii_digit() || b"abfnrtv\\'\"\n\r".contains(c);
        if !text.get(at + n + 1).is_none_or(known) {
            places.push(at + n);
        }
        at = (at + n + 2).min(token.end);
    }
}
