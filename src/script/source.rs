//! A script's text before it is compiled.
//!
//! The machine replaces the frame of a function that returns what another one returns (`return redis.call(...)`), and with it the
//! line that errors are told with. In the script's own body nobody but us sees what is returned, and of that the first value only.
//! So there `return f()` becomes `return f(),nil`, which is no such call. Lines stay as they are.

/// What stands at a place of the text.
#[derive(PartialEq, Eq, Debug)]
enum Token<'a> {
    Word(&'a [u8]),
    Semicolon,
    /// Anything else: a string, a number, an operator.
    Other,
}

/// Walks over the tokens of Lua 5.1.
struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
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
                        let line = memchr::memchr(b'\n', &self.text[self.at..]);
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
    fn next(&mut self) -> Option<Option<Token<'a>>> {
        self.pass_blanks()?;
        let start = self.at;
        let Some(&c) = self.text.get(start) else {
            return Some(None);
        };
        let is_name = |c: &u8| c.is_ascii_alphanumeric() || *c == b'_' || *c >= 0x80;
        let token = match c {
            b'\'' | b'"' => {
                self.at += 1;
                loop {
                    match *self.text.get(self.at)? {
                        b'\\' => self.at += 2,
                        b'\n' => return None,
                        end => {
                            self.at += 1;
                            if end == c {
                                break;
                            }
                        }
                    }
                }
                Token::Other
            }
            b'[' if self.long_bracket(start).is_some() => {
                let level = self.long_bracket(start)?;
                self.pass_long_bracket(start, level)?;
                Token::Other
            }
            b';' => {
                self.at += 1;
                Token::Semicolon
            }
            c if is_name(&c) => {
                let rest = &self.text[start..];
                let len = rest.iter().take_while(|c| is_name(c)).count();
                self.at += len;
                match c.is_ascii_digit() {
                    true => Token::Other,
                    false => Token::Word(&rest[..len]),
                }
            }
            _ => {
                self.at += 1;
                Token::Other
            }
        };
        Some(Some(token))
    }
}

/// Where the text is to have `,nil` inserted, in rising order; none where nothing is, or where it is not understood.
fn places(text: &[u8]) -> Option<Vec<usize>> {
    let mut lexer = Lexer { text, at: 0 };
    // Whether each open block is that of a function.
    let mut blocks: Vec<bool> = Vec::new();
    let mut places = Vec::new();
    // The blocks that are open at a return of the script's body, and the end of what it returns so far.
    let mut returning: Option<(usize, Option<usize>)> = None;
    loop {
        let token = lexer.next()?;
        let ends = match &token {
            None | Some(Token::Semicolon) => true,
            Some(Token::Word(w)) => matches!(*w, b"end" | b"else" | b"elseif" | b"until"),
            Some(Token::Other) => false,
        };
        if let Some((open, last)) = returning
            && blocks.len() == open
            && ends
        {
            places.extend(last);
            returning = None;
        }
        let Some(token) = token else {
            return Some(places);
        };
        if let Token::Word(word) = token {
            match word {
                b"function" => blocks.push(true),
                b"do" | b"then" | b"repeat" => blocks.push(false),
                // Their own `then` opens a block again; an `else` goes on with the same one.
                b"end" | b"until" | b"elseif" => {
                    blocks.pop()?;
                }
                b"return" if returning.is_none() && !blocks.contains(&true) => {
                    returning = Some((blocks.len(), None));
                    continue;
                }
                _ => {}
            }
        }
        if let Some((_, last)) = &mut returning {
            *last = Some(lexer.at);
        }
    }
}

/// The text with its body's returns made ones that keep the body's frame; none where it stays as it is.
pub(super) fn keep_frames(text: &[u8]) -> Option<Vec<u8>> {
    let places = places(text).filter(|p| !p.is_empty())?;
    let mut out = Vec::with_capacity(text.len() + 4 * places.len());
    let mut from = 0;
    for at in places {
        out.extend_from_slice(&text[from..at]);
        out.extend_from_slice(b",nil");
        from = at;
    }
    out.extend_from_slice(&text[from..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> Option<String> {
        keep_frames(text.as_bytes()).map(|t| String::from_utf8_lossy(&t).into_owned())
    }

    #[test]
    fn returns_of_the_body_alone_are_changed() {
        for (text, changed) in [
            ("return 1", "return 1,nil"),
            ("return f(x); ", "return f(x),nil; "),
            (
                "if a then return b() else return c() end",
                "if a then return b(),nil else return c(),nil end",
            ),
            (
                "if a then return b elseif c then return d end",
                "if a then return b,nil elseif c then return d,nil end",
            ),
            (
                "for i=1,2 do return f() end",
                "for i=1,2 do return f(),nil end",
            ),
            ("repeat return f() until x", "repeat return f(),nil until x"),
            (
                "return function() return g() end -- return\n",
                "return function() return g() end,nil -- return\n",
            ),
            (
                "return [[ end ]] .. 'end' .. \"\\\"end\" --[==[ ]] ]==]",
                "return [[ end ]] .. 'end' .. \"\\\"end\",nil --[==[ ]] ]==]",
            ),
            (
                "return {f=function() if x then return y() end end}",
                "return {f=function() if x then return y() end end},nil",
            ),
        ] {
            assert_eq!(kept(text).as_deref(), Some(changed));
        }
        for text in [
            "return",
            "do return end",
            "local function f() return g() end f()",
            "x = 1",
            "return 'not ended",
            "end return 1",
            "return [[",
            "",
        ] {
            assert_eq!(kept(text), None, "{text}");
        }
    }
}
