//! A script's text before it is compiled: what is changed in it, so that it costs less and errors have their lines.
//!
//! - The machine replaces the frame of a function that returns what another one returns (`return redis.call(...)`), and with it the
//!   line that errors are told with. In the script's own body nobody but us sees what is returned, and of that the first value only.
//!   So there `return f()` becomes `return f(),nil`, which is no such call; and `return redis.call(...)`, which has one value,
//!   becomes `return (redis.call(...))` in any function.
//! - Globals are seen through two tables, and each look costs a call into the machine. So `redis`, `KEYS` and `ARGV` become
//!   locals of the body, and `redis.call` one of its own. They are the body's arguments ([`Locals`]).
//!
//! Lines stay as they are. What is not plainly such a use is left alone: a name that is assigned to, or given to something else, keeps
//! its meaning. A text that is not understood stays as it is, and the compiler says what is wrong with it.

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Word,
    /// One character that is nothing else.
    Sign(u8),
    /// A string or a number.
    Literal,
}

#[derive(Clone, Copy, Debug)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
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
    fn next(&mut self) -> Option<Option<Token>> {
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
fn tokens(text: &[u8]) -> Option<Vec<Token>> {
    let mut lexer = Lexer { text, at: 0 };
    let mut all = Vec::new();
    while let Some(token) = lexer.next()? {
        all.push(token);
    }
    Some(all)
}

/// Why a text may not be compiled, behind its source's name; none: it may. The machine knows numbers of its own (`1LL`, `2i`), which
/// Lua 5.1 does not, and whose arithmetic needs a library that is not there. What is not understood here is left to the compiler, which
/// has to refuse it too: `Err`.
pub(crate) fn foreign_number(text: &[u8]) -> Result<Option<String>, ()> {
    let tokens = tokens(text).ok_or(())?;
    let bad = tokens.iter().find(|t| {
        let word = &text[t.start..t.end];
        t.kind == Kind::Literal
            && word.first().is_some_and(u8::is_ascii_digit)
            && matches!(word.last(), Some(b'i' | b'I' | b'l' | b'L'))
    });
    Ok(bad.map(|t| {
        let line = 1 + memchr::memchr_iter(b'\n', &text[..t.start]).count();
        let word = String::from_utf8_lossy(&text[t.start..t.end]);
        format!("{line}: malformed number near '{word}'")
    }))
}

/// Where the text is to have `,nil` inserted, in rising order; none where it is not understood.
fn returns(text: &[u8], tokens: &[Token]) -> Option<Vec<usize>> {
    // Whether each open block is that of a function.
    let mut blocks: Vec<bool> = Vec::new();
    let mut places = Vec::new();
    // The blocks that are open at a return of the script's body, and the end of what it returns so far.
    let mut returning: Option<(usize, Option<usize>)> = None;
    for token in tokens {
        let word = match token.kind {
            Kind::Word => &text[token.start..token.end],
            _ => b"",
        };
        let ends = token.kind == Kind::Sign(b';')
            || matches!(word, b"end" | b"else" | b"elseif" | b"until");
        if let Some((open, last)) = returning
            && blocks.len() == open
            && ends
        {
            places.extend(last);
            returning = None;
        }
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
        if let Some((_, last)) = &mut returning {
            *last = Some(token.end);
        }
    }
    places.extend(returning.and_then(|(_, last)| last));
    Some(places)
}

/// Which of the names that scripts use most are locals of the body, which is called with their values.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Locals {
    /// `KEYS`, argument 1.
    pub keys: bool,
    /// `ARGV`, argument 2.
    pub argv: bool,
    /// `redis`, argument 3, `redis.call`, argument 4, and `redis.pcall`, argument 5.
    pub redis: bool,
    /// `cjson.encode`, argument 6, and `cjson.decode`, argument 7.
    pub cjson: bool,
}

const CALL: &[u8] = b"_redis_call";
const PCALL: &[u8] = b"_redis_pcall";
const ENCODE: &[u8] = b"_redis_encode";
const DECODE: &[u8] = b"_redis_decode";

/// How a name is used where it is not the field of something.
struct Uses<'t> {
    text: &'t [u8],
    tokens: &'t [Token],
    name: &'t [u8],
}

impl<'t> Uses<'t> {
    fn sign(&self, i: Option<usize>) -> Option<u8> {
        match self.tokens.get(i?)?.kind {
            Kind::Sign(c) => Some(c),
            _ => None,
        }
    }

    /// The places among the tokens.
    fn iter(&self) -> impl Iterator<Item = usize> + use<'_, 't> {
        (0..self.tokens.len()).filter(|&i| {
            let t = self.tokens[i];
            let before = self.sign(i.checked_sub(1));
            let concatenated = self.sign(i.checked_sub(2)) == Some(b'.');
            let field = before == Some(b':') || (before == Some(b'.') && !concatenated);
            t.kind == Kind::Word && &self.text[t.start..t.end] == self.name && !field
        })
    }

    /// Whether what ends at token `i` is assigned to.
    fn is_assigned(&self, i: usize) -> bool {
        self.sign(Some(i + 1)) == Some(b'=') && self.sign(Some(i + 2)) != Some(b'=')
    }

    /// Whether all uses read it, or are locals of the script's own; and there is one.
    fn are_plain(&self) -> bool {
        let mut uses = self.iter().peekable();
        let some = uses.peek().is_some();
        some && uses.all(|i| !self.is_assigned(i))
    }

    /// Where the call ends that begins with use `i` and its field, when a function returns it and nothing else.
    fn end_of_returned_call(&self, i: usize) -> Option<usize> {
        let before = self.tokens.get(i.checked_sub(1)?)?;
        let returned =
            before.kind == Kind::Word && &self.text[before.start..before.end] == b"return";
        if !returned || self.sign(Some(i + 3)) != Some(b'(') {
            return None;
        }
        let mut open = 0;
        let close = (i + 3..self.tokens.len()).find(|&t| {
            match self.sign(Some(t)) {
                Some(b'(') => open += 1,
                Some(b')') => open -= 1,
                _ => {}
            }
            open == 0
        })?;
        let ends = match self.tokens.get(close + 1) {
            None => true,
            Some(t) => {
                let word = &self.text[t.start..t.end];
                matches!(word, b";" | b"end" | b"else" | b"elseif" | b"until")
            }
        };
        ends.then(|| self.tokens[close].end)
    }

    /// The field that is read at use `i`.
    fn field(&self, i: usize) -> Option<&'t [u8]> {
        let field = self.tokens.get(i + 2)?;
        let is_field = self.sign(Some(i + 1)) == Some(b'.') && field.kind == Kind::Word;
        (is_field && !self.is_assigned(i + 2)).then(|| &self.text[field.start..field.end])
    }
}

/// The text with nothing changed but its body's returns, for who is to see it as it was written; none where they are left as they
/// are.
pub(crate) fn keep_frames(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut from = 0;
    for at in returns(text, &tokens(text)?)? {
        out.extend_from_slice(text.get(from..at)?);
        out.extend_from_slice(b",nil");
        from = at;
    }
    out.extend_from_slice(text.get(from..)?);
    Some(out)
}

/// What a text becomes.
pub(crate) struct Source {
    pub text: Vec<u8>,
    pub locals: Locals,
}

/// The text as it is compiled; none where it stays as it is. `body`: the text is a script; else a library, whose functions have
/// KEYS and ARGV as their arguments.
pub(crate) fn prepare(text: &[u8], body: bool) -> Option<Source> {
    let tokens = tokens(text)?;
    // Each change: where, how many bytes go, what comes.
    let mut changes: Vec<(usize, usize, &[u8])> = Vec::new();
    let mut locals = Locals::default();
    let ends = if body {
        returns(text, &tokens)?
    } else {
        Vec::new()
    };
    let uses = |name: &'static [u8]| Uses {
        text,
        tokens: &tokens,
        name,
    };
    // The body's own arguments would be ours.
    let free = memchr::memmem::find(text, b"...").is_none()
        && memchr::memmem::find(text, b"_redis_").is_none();
    if free {
        locals.keys = body && uses(b"KEYS").are_plain();
        locals.argv = body && uses(b"ARGV").are_plain();
        let redis = uses(b"redis");
        let plain = redis.are_plain() && redis.iter().all(|i| redis.field(i).is_some());
        let cjson = uses(b"cjson");
        if body && cjson.are_plain() && cjson.iter().all(|i| cjson.field(i).is_some()) {
            for i in cjson.iter() {
                let name = match cjson.field(i) {
                    Some(b"encode") => ENCODE,
                    Some(b"decode") => DECODE,
                    _ => continue,
                };
                let (start, end) = (tokens[i].start, tokens[i + 2].end);
                if memchr::memchr(b'\n', &text[start..end]).is_none() {
                    changes.push((start, end - start, name));
                    locals.cjson = true;
                }
            }
        }
        if plain {
            for i in redis.iter() {
                let name = match redis.field(i) {
                    Some(b"call") => CALL,
                    Some(b"pcall") => PCALL,
                    _ => continue,
                };
                if let Some(end) = redis.end_of_returned_call(i) {
                    changes.push((tokens[i].start, 0, b"("));
                    changes.push((end, 0, b")"));
                }
                let (start, end) = (tokens[i].start, tokens[i + 2].end);
                // A line's end between the words would be lost.
                if memchr::memchr(b'\n', &text[start..end]).is_none() {
                    changes.push((start, end - start, name));
                    locals.redis = true;
                }
            }
        }
    }
    // Behind a bracket that closes at the same place.
    changes.extend(ends.into_iter().map(|at| (at, 0, &b",nil"[..])));
    if changes.is_empty() && locals == Locals::default() {
        return None;
    }
    changes.sort_by_key(|c| c.0);
    let mut out = Vec::with_capacity(text.len() + 64);
    let any = locals != Locals::default();
    if any {
        let name = |on: bool, name: &'static str| if on { name } else { "_redis_" };
        // What a library sees of `redis` is another table while it loads.
        let redis = name(locals.redis && body, "redis");
        let names = [
            name(locals.keys, "KEYS"),
            name(locals.argv, "ARGV"),
            redis,
            name(locals.redis, "_redis_call"),
            name(locals.redis, "_redis_pcall"),
            name(locals.cjson, "_redis_encode"),
            name(locals.cjson, "_redis_decode"),
        ];
        let taken = if locals.cjson { 7 } else { 5 };
        let names = &names[..taken];
        out.extend_from_slice(format!("local {}=...;", names.join(",")).as_bytes());
    }
    let mut from = 0;
    for (at, gone, new) in changes {
        out.extend_from_slice(text.get(from..at)?);
        out.extend_from_slice(new);
        from = at + gone;
    }
    out.extend_from_slice(text.get(from..)?);
    Some(Source { text: out, locals })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str) -> Option<String> {
        prepare(text.as_bytes(), true).map(|s| String::from_utf8_lossy(&s.text).into_owned())
    }

    #[test]
    fn returns_of_the_body_alone_are_changed() {
        for (text, after) in [
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
            assert_eq!(changed(text).as_deref(), Some(after));
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
            assert_eq!(changed(text), None, "{text}");
        }
    }

    #[test]
    fn names_that_are_only_read_are_locals() {
        const ALL: &str = "local KEYS,ARGV,redis,_redis_call,_redis_pcall=...;";
        const REDIS: &str = "local _redis_,_redis_,redis,_redis_call,_redis_pcall=...;";
        const KEYS: &str = "local KEYS,_redis_,_redis_,_redis_,_redis_=...;";
        for (text, before, after) in [
            (
                "redis.call('set',KEYS[1],ARGV[1])",
                ALL,
                "_redis_call('set',KEYS[1],ARGV[1])",
            ),
            (
                "local c = redis.call c()",
                REDIS,
                "local c = _redis_call c()",
            ),
            (
                "redis.log(1, t.redis.call, redis.pcall'x' == redis.sha1hex'y')",
                REDIS,
                "redis.log(1, t.redis.call, _redis_pcall'x' == redis.sha1hex'y')",
            ),
            (
                "local function f(a) if a then return redis.call('x', (a)) end return redis.pcall(), a end",
                REDIS,
                "local function f(a) if a then return (_redis_call('x', (a))) end return _redis_pcall(), a end",
            ),
            (
                "return redis.call('x')",
                REDIS,
                "return (_redis_call('x')),nil",
            ),
            (
                "return cjson.encode(cjson.decode(x)), cjson.null",
                "local _redis_,_redis_,_redis_,_redis_,_redis_,_redis_encode,_redis_decode=...;",
                "return _redis_encode(_redis_decode(x)), cjson.null,nil",
            ),
            ("f('a'..redis.call('x'))", REDIS, "f('a'.._redis_call('x'))"),
            ("x(#KEYS == 1, {KEYS})", KEYS, "x(#KEYS == 1, {KEYS})"),
            // An assigned name, or one that is given away, stays.
            ("redis = 1 x(KEYS)", KEYS, "redis = 1 x(KEYS)"),
            ("redis.call = 1 x(KEYS)", KEYS, "redis.call = 1 x(KEYS)"),
            (
                "f(redis) redis.call() x(KEYS)",
                KEYS,
                "f(redis) redis.call() x(KEYS)",
            ),
        ] {
            assert_eq!(changed(text), Some(format!("{before}{after}")), "{text}");
        }
        for text in [
            "KEYS = {}",
            "local a = {KEYS = 1}",
            "redis.log(1, 'x')",
            "redis.call(...)",
            "_redis_call = redis.call",
            "t.KEYS = redis['call']()",
            "redis.call = nil",
            "local redis = {} redis.call()",
            "local function f(redis) return redis.call() end",
        ] {
            assert_eq!(changed(text), None, "{text}");
        }
        // Lines are kept.
        let lines = "x()\nredis\n.call()\nredis.call()";
        let after = "x()\nredis\n.call()\n_redis_call()";
        assert_eq!(changed(lines), Some(format!("{REDIS}{after}")));
    }

    #[test]
    fn foreign_numbers_are_found() {
        for (text, found) in [
            ("return 1", None),
            (
                "x = '1LL' -- 1LL\n y = [[2i]] z = 0xfe i1LL = 1e5 .. 3",
                None,
            ),
            ("return\n1LL", Some("2: malformed number near '1LL'")),
            ("return 0x1full", Some("1: malformed number near '0x1full'")),
            ("return 1.5i", Some("1: malformed number near '5i'")),
            ("return 1e+5I", Some("1: malformed number near '5I'")),
        ] {
            assert_eq!(
                foreign_number(text.as_bytes()),
                Ok(found.map(String::from)),
                "{text}"
            );
        }
        assert_eq!(foreign_number(b"return 'x"), Err(()));
    }

    #[test]
    fn libraries_have_redis_call_alone() {
        let code = "\nredis.register_function('f', function(KEYS, ARGV) return redis.call('get', KEYS[1]) end)";
        let after = prepare(code.as_bytes(), false).map(|s| s.text);
        let text = "local _redis_,_redis_,_redis_,_redis_call,_redis_pcall=...;\nredis.register_function('f', \
                    function(KEYS, ARGV) return (_redis_call('get', KEYS[1])) end)";
        assert_eq!(after, Some(text.as_bytes().to_vec()));
    }
}
