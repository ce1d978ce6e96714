//! The tokens of Lua 5.1: words, literals and signs, with their places in the text, and which words are no names.

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Word,
    /// One character that is nothing else.
    Sign(u8),
    /// A string or a number.
    Literal,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

/// Walks over the tokens of Lua 5.1.
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    nested: Option<usize>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Lexer<'a> {
        Lexer {
            text,
            at: 0,
            nested: None,
        }
    }

    /// Where the first `[[` stands within a `[[ ... ]]` that was passed over.
    pub(super) fn nested_bracket(&self) -> Option<usize> {
        self.nested
    }

    /// The number of `=` of a long bracket that opens at `at`.
    fn long_bracket(&self, at: usize) -> Option<usize> {
        let rest = self.text.get(at..)?.strip_prefix(b"[")?;
        let level = rest.iter().take_while(|c| **c == b'=').count();
        (rest.get(level) == Some(&b'[')).then_some(level)
    }

    /// Passes over what a long bracket of `level` at `at` holds. None: it has no end.
    fn pass_long_bracket(&mut self, at: usize, level: usize) -> Option<()> {
        let mut close = vec![b'='; level + 2];
        close[0] = b']';
        close[level + 1] = b']';
        let from = at + level + 2;
        let end = memchr::memmem::find(self.text.get(from..)?, &close)?;
        if level == 0 && self.nested.is_none() {
            let within = memchr::memmem::find(&self.text[from..from + end], b"[[");
            self.nested = within.map(|n| from + n);
        }
        self.at = from + end + close.len();
        Some(())
    }

    /// Passes over blanks and comments.
    fn pass_blanks(&mut self) -> Option<()> {
        while let Some(c) = self.text.get(self.at) {
            if c.is_ascii_whitespace() || *c == 0x0b {
                self.at += 1;
            } else if self.text[self.at..].starts_with(b"--") {
                match self.long_bracket(self.at + 2) {
                    Some(level) => self.pass_long_bracket(self.at + 2, level)?,
                    None => {
                        let line = memchr::memchr2(b'\n', b'\r', &self.text[self.at..]);
                        self.at = line.map_or(self.text.len(), |n| self.at + n);
                    }
                }
            } else {
                break;
            }
        }
        Some(())
    }

    /// The next token; none inside: the end. None: the text is not well-formed.
    pub(super) fn next(&mut self) -> Option<Option<Token>> {
        self.pass_blanks()?;
        let start = self.at;
        let Some(&c) = self.text.get(start) else {
            return Some(None);
        };
        let is_name = |c: &u8| c.is_ascii_alphanumeric() || *c == b'_' || *c >= 0x80;
        let kind = match c {
            b'\'' | b'"' => {
                self.at += 1;
                loop {
                    match *self.text.get(self.at)? {
                        b'\\' => {
                            let escaped = *self.text.get(self.at + 1)?;
                            let behind = self.text.get(self.at + 2).copied();
                            // A line's end may be two characters.
                            let pair = matches!(
                                (escaped, behind),
                                (b'\r', Some(b'\n')) | (b'\n', Some(b'\r'))
                            );
                            self.at += if pair { 3 } else { 2 };
                        }
                        b'\n' | b'\r' => return None,
                        end => {
                            self.at += 1;
                            if end == c {
                                break;
                            }
                        }
                    }
                }
                Kind::Literal
            }
            b'[' if self.long_bracket(start).is_some() => {
                let level = self.long_bracket(start)?;
                self.pass_long_bracket(start, level)?;
                Kind::Literal
            }
            c if is_name(&c) => {
                let rest = &self.text[start..];
                self.at += rest.iter().take_while(|c| is_name(c)).count();
                match c.is_ascii_digit() {
                    true => Kind::Literal,
                    false => Kind::Word,
                }
            }
            c => {
                self.at += 1;
                Kind::Sign(c)
            }
        };
        Some(Some(Token {
            kind,
            start,
            end: self.at,
        }))
    }
}

/// The tokens of a text; none where it is not well-formed.
pub(super) fn tokens(text: &[u8]) -> Option<Vec<Token>> {
    let mut lexer = Lexer::new(text);
    let mut all = Vec::new();
    while let Some(token) = lexer.next()? {
        all.push(token);
    }
    Some(all)
}

/// Operators that are spelled.
pub(super) fn is_operator(word: &[u8]) -> bool {
    matches!(word, b"and" | b"or" | b"not")
}

/// Words that a value cannot end with.
pub(super) fn is_keyword(word: &[u8]) -> bool {
    is_operator(word)
        || matches!(
            word,
            b"break"
                | b"do"
                | b"else"
                | b"elseif"
                | b"for"
                | b"function"
                | b"goto"
                | b"if"
                | b"in"
                | b"local"
                | b"repeat"
                | b"return"
                | b"then"
                | b"until"
                | b"while"
        )
}
