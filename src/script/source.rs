//! A script's text before it is compiled: what is changed in it, so that it costs less and errors have their lines.
//!
//! - The machine replaces the frame of a function that returns what another one returns (`return redis.call(...)`), and with it the
//!   line that errors are told with. In the script's own body nobody but us sees what is returned, and of that the first value only.
//!   So there `return f()` becomes `return f(),nil`, which is no such call; and `return redis.call(...)`, which has one value,
//!   becomes `return (redis.call(...))` in any function.
//! - Where nobody but us sees what `return redis.call(...)` returns, in the body and in a library's callbacks that have no name, it
//!   becomes a call whose reply may go to the client as it came, without being a value in between.
//! - Globals are seen through two tables, and each look costs a call into the machine. So the body becomes a function within the
//!   text, which has `redis`, `redis.call` and others as locals around it, and `KEYS` and `ARGV` as its parameters. Where nothing but
//!   some of their elements is read, the parameters are these ([`Words`]).
//!
//! Lines stay as they are. What is not plainly such a use is left alone: a name that is assigned to, or given to something else, keeps
//! its meaning. A text that is not understood stays as it is, and the compiler says what is wrong with it.

use std::borrow::Cow;

use super::lexer::{Kind, Token, tokens};
use super::libraries::LOCALS_PREFIX;

/// How a script gets KEYS, or ARGV.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Words {
    /// Not as a parameter: it does not name them, or they are globals.
    #[default]
    No,
    /// As a table.
    Table,
    /// As a parameter each for the first `n` of these places, counted from 1.
    Places { places: [u8; MAX_PLACES], n: u8 },
}

/// Elements that are parameters of their own, at most.
pub(crate) const MAX_PLACES: usize = 6;

/// The parameters of a script's function: those of KEYS, then those of ARGV.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Parameters {
    pub keys: Words,
    pub argv: Words,
}

/// A function of a library, and the local that takes its place.
type Field = (&'static str, &'static str);

const REDIS: [Field; 2] = [("call", "_redis_call"), ("pcall", "_redis_pcall")];
const CJSON: [Field; 2] = [("encode", "_redis_encode"), ("decode", "_redis_decode")];
/// `redis.call` where its reply may go out as it came.
const LAST: &str = "_redis_last";
/// How many values of our own there are ([`Takes`]).
pub(crate) const OUR_VALUES: usize = 1 + REDIS.len() + 1 + CJSON.len();
/// What all of our own names begin with.
const OURS: &str = LOCALS_PREFIX;

/// For each token, the `function` whose block it is in; none inside: the body. None: blocks do not end as they begin.
fn functions(text: &[u8], tokens: &[Token]) -> Option<Vec<Option<usize>>> {
    // The innermost function within each open block.
    let mut blocks: Vec<Option<usize>> = Vec::new();
    let mut of_tokens = Vec::with_capacity(tokens.len());
    for (i, token) in tokens.iter().enumerate() {
        let innermost = blocks.last().copied().flatten();
        of_tokens.push(innermost);
        match word(text, token) {
            b"function" => blocks.push(Some(i)),
            b"do" | b"then" | b"repeat" => blocks.push(innermost),
            // Their own `then` opens a block again; an `else` goes on with the same one.
            b"end" | b"until" | b"elseif" => {
                blocks.pop()?;
            }
            _ => {}
        }
    }
    blocks.is_empty().then_some(of_tokens)
}

fn word<'t>(text: &'t [u8], token: &Token) -> &'t [u8] {
    match token.kind {
        Kind::Word => &text[token.start..token.end],
        _ => b"",
    }
}

/// Where the text is to have `,nil` inserted, in rising order.
fn returns(text: &[u8], tokens: &[Token], functions: &[Option<usize>]) -> Vec<usize> {
    let mut places = Vec::new();
    // The end of what a return of the body returns, so far.
    let mut returning: Option<Option<usize>> = None;
    for (token, function) in tokens.iter().zip(functions) {
        let word = word(text, token);
        let ends = token.kind == Kind::Sign(b';')
            || matches!(word, b"end" | b"else" | b"elseif" | b"until");
        if let (Some(last), None, true) = (returning, function, ends) {
            places.extend(last);
            returning = None;
        }
        if returning.is_none() && word == b"return" && function.is_none() {
            returning = Some(None);
        } else if let Some(last) = &mut returning {
            *last = Some(token.end);
        }
    }
    places.extend(returning.flatten());
    places
}

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

    /// Whether it is read, and for nothing but its fields.
    fn are_fields(&self) -> bool {
        self.are_plain() && self.iter().all(|i| self.field(i).is_some())
    }

    /// Puts locals in the place of these functions of the library that has this name, which is used for nothing but its fields.
    /// `last` says of a call that a function returns whether its reply may go out as it came.
    fn replace_fields(
        &self,
        fields: &[Field],
        last: impl Fn(usize) -> bool,
        changes: &mut Vec<Change>,
    ) {
        for i in self.iter() {
            let field = self.field(i);
            let known = fields
                .iter()
                .find(|(name, _)| Some(name.as_bytes()) == field);
            let Some(&(name, mut local)) = known else {
                continue;
            };
            if let Some(end) = self.end_of_returned_call(i) {
                changes.push((self.tokens[i].start, 0, "(".into()));
                changes.push((end, 0, ")".into()));
                if name == "call" && last(i) {
                    local = LAST;
                }
            }
            self.replace(i, i + 2, local.into(), changes);
        }
    }

    /// Puts `new` in the place of tokens `from` to `to`, unless a line's end between them would be lost.
    fn replace(&self, from: usize, to: usize, new: String, changes: &mut Vec<Change>) -> bool {
        let (start, end) = (self.tokens[from].start, self.tokens[to].end);
        let one_line = memchr::memchr(b'\n', &self.text[start..end]).is_none();
        if one_line {
            changes.push((start, end - start, new.into()));
        }
        one_line
    }

    /// The `function` token of the callback that is written where the use `i`, which is `redis`, registers it: nobody but FCALL can
    /// call it.
    fn callback(&self, i: usize) -> Option<usize> {
        if self.field(i)? != b"register_function" {
            return None;
        }
        let named = match (self.sign(Some(i + 3)), self.sign(Some(i + 4))) {
            (Some(b'{'), _) => i + 3,
            (Some(b'('), Some(b'{')) => i + 4,
            (Some(b'('), _) => {
                let name = self.tokens.get(i + 4)?.kind == Kind::Literal;
                let function =
                    self.word(i + 6) == b"function" && self.sign(Some(i + 7)) == Some(b'(');
                return (name && self.sign(Some(i + 5)) == Some(b',') && function).then_some(i + 6);
            }
            _ => return None,
        };
        let mut open = 0;
        for t in named..self.tokens.len() {
            match self.sign(Some(t)) {
                Some(b'{' | b'(' | b'[') => open += 1,
                Some(b'}' | b')' | b']') => open -= 1,
                _ => {}
            }
            if open == 0 {
                return None;
            }
            let is =
                open == 1 && self.word(t) == b"callback" && self.sign(Some(t + 1)) == Some(b'=');
            if is && self.word(t + 2) == b"function" && self.sign(Some(t + 3)) == Some(b'(') {
                return Some(t + 2);
            }
        }
        None
    }

    fn word(&self, i: usize) -> &'t [u8] {
        self.tokens.get(i).map_or(b"", |t| word(self.text, t))
    }

    /// The place that use `i` reads as `KEYS[place]`, where this is a value that nothing is done with but to pass it on or to
    /// compare it: errors do not name it then.
    fn place(&self, i: usize) -> Option<u8> {
        let token = self.tokens.get(i + 2)?;
        let literal = self.sign(Some(i + 1)) == Some(b'[')
            && token.kind == Kind::Literal
            && self.sign(Some(i + 3)) == Some(b']');
        let place = match self.text.get(token.start..token.end)? {
            [digit @ b'1'..=b'9'] if literal => digit - b'0',
            _ => return None,
        };
        let before = match self.tokens.get(i.checked_sub(1)?)?.kind {
            Kind::Sign(b',') => self.is_listed(i - 1),
            Kind::Sign(b'(') => self.is_call(i - 1),
            Kind::Sign(c) => matches!(c, b'{' | b'=' | b'<' | b'>'),
            Kind::Word => matches!(
                self.word(i - 1),
                b"return" | b"and" | b"or" | b"not" | b"if" | b"elseif" | b"while" | b"until"
            ),
            Kind::Literal => false,
        };
        let behind = match self.tokens.get(i + 4).map(|t| t.kind) {
            None | Some(Kind::Word) => true,
            Some(Kind::Sign(b'=')) => !self.is_assigned(i + 3),
            Some(Kind::Sign(c)) => matches!(c, b')' | b'}' | b',' | b';' | b'<' | b'>' | b'~'),
            Some(Kind::Literal) => false,
        };
        (before && behind).then_some(place)
    }

    /// Whether the bracket that is token `i` begins a call's arguments.
    fn is_call(&self, i: usize) -> bool {
        const KEYWORDS: [&[u8]; 12] = [
            b"and", b"or", b"not", b"return", b"if", b"elseif", b"while", b"until", b"in", b"do",
            b"then", b"else",
        ];
        match i.checked_sub(1).and_then(|before| self.tokens.get(before)) {
            Some(before) => match before.kind {
                Kind::Word => !KEYWORDS.contains(&self.word(i - 1)),
                Kind::Sign(c) => matches!(c, b')' | b']'),
                Kind::Literal => false,
            },
            None => false,
        }
    }

    /// Whether the comma that is token `i` stands between values, not between what is assigned to.
    fn is_listed(&self, i: usize) -> bool {
        let mut closed = 0;
        for t in (0..i).rev() {
            match self.tokens[t].kind {
                Kind::Sign(b')' | b'}' | b']') => closed += 1,
                Kind::Sign(b'(' | b'{' | b'[') if closed == 0 => return true,
                Kind::Sign(b'(' | b'{' | b'[') => closed -= 1,
                Kind::Sign(b'=') if closed == 0 => return true,
                Kind::Sign(b';') if closed == 0 => return false,
                Kind::Word if closed == 0 => match self.word(t) {
                    b"return" => return true,
                    b"local" | b"do" | b"then" | b"else" | b"end" | b"until" | b"repeat"
                    | b"function" => {
                        return false;
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        false
    }

    /// How the script gets the words of this name; `prefix` begins the names of their elements.
    fn words(&self, prefix: &str, changes: &mut Vec<Change>) -> Words {
        if !self.are_plain() {
            return Words::No;
        }
        let (mut places, mut n) = ([0; MAX_PLACES], 0);
        let mut replaced = Vec::new();
        for i in self.iter() {
            let Some(place) = self.place(i) else {
                return Words::Table;
            };
            if !places[..n].contains(&place) {
                if n == MAX_PLACES {
                    return Words::Table;
                }
                places[n] = place;
                n += 1;
            }
            if !self.replace(i, i + 3, format!("{prefix}{place}"), &mut replaced) {
                return Words::Table;
            }
        }
        changes.append(&mut replaced);
        Words::Places { places, n: n as u8 }
    }
}

const KEY: &str = "_redis_key";
const ARG: &str = "_redis_arg";

/// A change of the text: where, how many bytes go, what comes.
type Change = (usize, usize, Cow<'static, str>);

/// Changes that add nothing to the body's returns but a nil behind.
fn returns_with_nil(places: Vec<usize>) -> impl Iterator<Item = Change> {
    places.into_iter().map(|at| (at, 0, ",nil".into()))
}

/// What a text becomes.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Source {
    pub text: Vec<u8>,
    pub takes: Takes,
}

/// What the compiled text is to be called with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Takes {
    /// Nothing: it is the script, or the library.
    Nothing,
    /// Our own values (`redis`, `redis.call`, `redis.pcall`, `redis.call` as it is where its reply may go out as it came,
    /// `cjson.encode`, `cjson.decode`): it is the library.
    Ours,
    /// Our own values: it returns the script, which has these parameters.
    OursForScript(Parameters),
}

/// A script's text, looked through once.
pub(crate) struct Script<'t> {
    text: &'t [u8],
    /// None: it is not well-formed, or not understood.
    tokens: Option<Vec<Token>>,
}

impl<'t> Script<'t> {
    pub(crate) fn read(text: &'t [u8]) -> Script<'t> {
        Script {
            text,
            tokens: tokens(text),
        }
    }

    pub(crate) fn text(&self) -> &'t [u8] {
        self.text
    }

    /// What is not understood has to be refused by the compiler, too.
    pub(crate) fn is_understood(&self) -> bool {
        self.tokens.is_some()
    }

    /// Why the text may not be compiled, behind its source's name; none: nothing was found. The machine knows numbers of its own
    /// (`1LL`, `2i`), which Lua 5.1 does not, and whose arithmetic needs a library that is not there.
    pub(crate) fn foreign_number(&self) -> Option<String> {
        let bad = self.tokens.iter().flatten().find(|t| {
            let word = &self.text[t.start..t.end];
            t.kind == Kind::Literal
                && word.first().is_some_and(u8::is_ascii_digit)
                && matches!(word.last(), Some(b'i' | b'I' | b'l' | b'L'))
        })?;
        let line = 1 + memchr::memchr_iter(b'\n', &self.text[..bad.start]).count();
        let word = String::from_utf8_lossy(&self.text[bad.start..bad.end]);
        Some(format!("{line}: malformed number near '{word}'"))
    }

    /// The text with nothing changed but its body's returns, for who is to see it as it was written; none where it stays as it is.
    pub(crate) fn keep_frames(&self) -> Option<Vec<u8>> {
        let tokens = self.tokens.as_deref()?;
        let places = returns(self.text, tokens, &functions(self.text, tokens)?);
        self.with_changes(returns_with_nil(places))
    }

    /// A script as it is compiled; none where it stays as it is.
    pub(crate) fn prepare(&self) -> Option<Source> {
        let (text, tokens) = (self.text, self.tokens.as_deref()?);
        let functions = functions(text, tokens)?;
        let mut changes: Vec<Change> = Vec::new();
        let mut parameters = Parameters::default();
        let (mut redis, mut ours) = (false, false);
        if self.is_free() {
            let uses = |name: &'static [u8]| Uses { text, tokens, name };
            parameters.keys = uses(b"KEYS").words(KEY, &mut changes);
            parameters.argv = uses(b"ARGV").words(ARG, &mut changes);
            let cjson = uses(b"cjson");
            if cjson.are_fields() {
                let before = changes.len();
                cjson.replace_fields(&CJSON, |_| false, &mut changes);
                ours = changes.len() > before;
            }
            redis = uses(b"redis").are_fields();
            if redis {
                let of_body = |i: usize| functions[i].is_none();
                uses(b"redis").replace_fields(&REDIS, of_body, &mut changes);
            }
        }
        changes.extend(returns_with_nil(returns(text, tokens, &functions)));
        if !redis && !ours && parameters == Parameters::default() {
            let changed = !changes.is_empty();
            return changed.then_some(Source {
                text: self.with_changes(changes)?,
                takes: Takes::Nothing,
            });
        }
        let mut out = head(redis);
        out.extend_from_slice(b"return function(");
        out.extend_from_slice(parameters.names().join(",").as_bytes());
        out.extend_from_slice(b") ");
        out.extend(self.with_changes(changes)?);
        // A comment may stand at the text's end.
        out.extend_from_slice(b"\nend");
        Some(Source {
            text: out,
            takes: Takes::OursForScript(parameters),
        })
    }

    /// A library as it is compiled; none where it stays as it is. KEYS and ARGV are what its functions call their arguments.
    pub(crate) fn prepare_library(&self) -> Option<Source> {
        let (text, tokens) = (self.text, self.tokens.as_deref()?);
        let functions = functions(text, tokens)?;
        let redis = Uses {
            text,
            tokens,
            name: b"redis",
        };
        if !self.is_free() || !redis.are_fields() {
            return None;
        }
        let callbacks: Vec<usize> = redis.iter().filter_map(|i| redis.callback(i)).collect();
        let of_callback = |i: usize| functions[i].is_some_and(|f| callbacks.contains(&f));
        let mut changes: Vec<Change> = Vec::new();
        redis.replace_fields(&REDIS, of_callback, &mut changes);
        if changes.is_empty() {
            return None;
        }
        // What a library sees of `redis` is another table while it loads.
        let mut out = head(false);
        out.extend(self.with_changes(changes)?);
        Some(Source {
            text: out,
            takes: Takes::Ours,
        })
    }

    /// Nothing in the text could be taken for our own names, or for the arguments that they come in.
    fn is_free(&self) -> bool {
        let has = |word: &[u8]| memchr::memmem::find(self.text, word).is_some();
        !has(b"...") && !has(OURS.as_bytes())
    }

    /// The text with these changes, of which none lies within another.
    fn with_changes(&self, changes: impl IntoIterator<Item = Change>) -> Option<Vec<u8>> {
        let mut changes: Vec<Change> = changes.into_iter().collect();
        // Those at one place stay in order: a nil stands behind a bracket that closes there.
        changes.sort_by_key(|c| c.0);
        let mut out = Vec::with_capacity(self.text.len() + 64);
        let mut from = 0;
        for (at, gone, new) in changes {
            out.extend_from_slice(self.text.get(from..at)?);
            out.extend_from_slice(new.as_bytes());
            from = at + gone;
        }
        out.extend_from_slice(self.text.get(from..)?);
        Some(out)
    }
}

/// What takes our own values into locals, in the text's first line.
fn head(redis: bool) -> Vec<u8> {
    let mut names = vec![if redis { "redis" } else { OURS }];
    names.extend(REDIS.map(|(_, local)| local));
    names.push(LAST);
    names.extend(CJSON.map(|(_, local)| local));
    format!("local {}=...;", names.join(",")).into_bytes()
}

impl Parameters {
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (words, whole, one) in [(self.keys, "KEYS", KEY), (self.argv, "ARGV", ARG)] {
            match words {
                Words::No => {}
                Words::Table => names.push(whole.to_string()),
                Words::Places { places, n } => {
                    let places = &places[..usize::from(n)];
                    names.extend(places.iter().map(|place| format!("{one}{place}")));
                }
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "local _redis_,_redis_call,_redis_pcall,_redis_last,_redis_encode,_redis_decode=...;";

    fn prepared(text: &str) -> Option<(String, Takes)> {
        let source = Script::read(text.as_bytes()).prepare()?;
        Some((
            String::from_utf8_lossy(&source.text).into_owned(),
            source.takes,
        ))
    }

    /// The body's text with its parameters before it, where it becomes a function.
    fn body(text: &str) -> Option<String> {
        let (text, takes) = prepared(text)?;
        assert!(matches!(takes, Takes::OursForScript(_)), "{text}");
        let (head, rest) = text.split_once(";return function")?;
        let redis = head.replace("local redis,", "local _redis_,") + ";";
        assert_eq!(redis, HEAD);
        rest.strip_suffix("\nend").map(String::from)
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
            assert_eq!(prepared(text), Some((after.into(), Takes::Nothing)));
        }
        for text in [
            "return",
            "do return end",
            "local function f() return g() end f()",
            "x = 1",
            "return 'not ended",
            "end return 1",
            // It would end the function that the body becomes.
            "return redis.call('x') end function f()",
            "do redis.call('x')",
            "return [[",
            "",
        ] {
            assert_eq!(prepared(text), None, "{text}");
        }
    }

    #[test]
    fn names_that_are_only_read_are_locals() {
        for (text, after) in [
            (
                "redis.call('set',KEYS[1],ARGV[1])",
                "(_redis_key1,_redis_arg1) _redis_call('set',_redis_key1,_redis_arg1)",
            ),
            ("local c = redis.call c()", "() local c = _redis_call c()"),
            (
                "redis.log(1, t.redis.call, redis.pcall'x' == redis.sha1hex'y')",
                "() redis.log(1, t.redis.call, _redis_pcall'x' == redis.sha1hex'y')",
            ),
            (
                "local function f(a) if a then return redis.call('x', (a)) end return redis.pcall(), a end",
                "() local function f(a) if a then return (_redis_call('x', (a))) end return _redis_pcall(), a end",
            ),
            (
                "return cjson.encode(cjson.decode(x)), cjson.null",
                "() return _redis_encode(_redis_decode(x)), cjson.null,nil",
            ),
            ("f('a'..redis.call('x'))", "() f('a'.._redis_call('x'))"),
            ("x(#KEYS == 1, {KEYS})", "(KEYS) x(#KEYS == 1, {KEYS})"),
            // An assigned name, or one that is given away, stays.
            ("redis = 1 x(KEYS)", "(KEYS) redis = 1 x(KEYS)"),
            ("redis.call = 1 x(KEYS)", "(KEYS) redis.call = 1 x(KEYS)"),
            (
                "f(redis) redis.call() x(KEYS)",
                "(KEYS) f(redis) redis.call() x(KEYS)",
            ),
            ("redis.log(1, 'x') -- end", "() redis.log(1, 'x') -- end"),
        ] {
            assert_eq!(body(text).as_deref(), Some(after), "{text}");
        }
        for text in [
            "KEYS = {}",
            "local a = {KEYS = 1}",
            "redis.call(...)",
            "_redis_call = redis.call",
            "t.KEYS = redis['call']()",
            "redis.call = nil",
            "local redis = {} redis.call()",
            "local function f(redis) return redis.call() end",
        ] {
            assert_eq!(prepared(text), None, "{text}");
        }
        // Lines are kept.
        let lines = "x()\nredis\n.call()\nredis.call()";
        let after = "() x()\nredis\n.call()\n_redis_call()";
        assert_eq!(body(lines).as_deref(), Some(after));
    }

    #[test]
    fn what_the_script_ends_with_may_go_out_as_it_came() {
        for (text, after) in [
            ("return redis.call('x')", "() return (_redis_last('x')),nil"),
            (
                "if a then return redis.call('x') end return redis.pcall('y')",
                "() if a then return (_redis_last('x')),nil end return (_redis_pcall('y')),nil",
            ),
            // There somebody sees it.
            (
                "local f = function() return redis.call('x') end return redis.call('x'), 1",
                "() local f = function() return (_redis_call('x')) end return _redis_call('x'), 1,nil",
            ),
            (
                "return redis.call('x')[1]",
                "() return _redis_call('x')[1],nil",
            ),
        ] {
            assert_eq!(body(text).as_deref(), Some(after), "{text}");
        }
    }

    #[test]
    fn elements_that_are_passed_on_are_parameters() {
        let single = |text: &str| {
            let changed = body(text)?;
            let (parameters, _) = changed.strip_prefix('(')?.split_once(')')?;
            Some(parameters.to_string())
        };
        for (text, parameters) in [
            ("f(KEYS[1], KEYS[2], KEYS[1])", "_redis_key1,_redis_key2"),
            ("local a, b = KEYS[2], KEYS[1]", "_redis_key2,_redis_key1"),
            ("return KEYS[1]", "_redis_key1"),
            ("return {1, KEYS[1]}", "_redis_key1"),
            (
                "if KEYS[1] == ARGV[9] then x() end",
                "_redis_key1,_redis_arg9",
            ),
            ("x = not KEYS[1] and a < KEYS[2]", "_redis_key1,_redis_key2"),
            (
                "f{KEYS[1], a = KEYS[2], KEYS[3]}",
                "_redis_key1,_redis_key2,_redis_key3",
            ),
            ("f(function() return 1 end, KEYS[1])", "_redis_key1"),
            // Errors would name these.
            ("f(KEYS[1] .. 'x')", "KEYS"),
            ("f('x' .. KEYS[1])", "KEYS"),
            ("f(KEYS[1] + 1)", "KEYS"),
            ("f(-KEYS[1])", "KEYS"),
            ("f(#KEYS[1])", "KEYS"),
            ("f(KEYS[1].x)", "KEYS"),
            ("f(KEYS[1][2])", "KEYS"),
            ("x = (KEYS[1]) .. 'x'", "KEYS"),
            ("return (KEYS[1]).x", "KEYS"),
            ("f(KEYS[1]:sub(1))", "KEYS"),
            ("x = KEYS[1](2)", "KEYS"),
            ("x = KEYS[1]'a'", "KEYS"),
            // These are written to.
            ("x, KEYS[1] = 1, 2", "KEYS"),
            ("x, KEYS[1], y = 1, 2, 3", "KEYS"),
            ("f(1) KEYS[1], y = 1, 2", "KEYS"),
            ("f(function() x, KEYS[1], y = 1, 2, 3 end)", "KEYS"),
            ("KEYS[1] = 1", "KEYS"),
            // These are not known here, or too many.
            ("f(KEYS[i])", "KEYS"),
            ("f(KEYS[10])", "KEYS"),
            ("f(KEYS[0])", "KEYS"),
            ("f(KEYS[1], #KEYS)", "KEYS"),
            ("f(KEYS[1], unpack(KEYS))", "KEYS"),
            ("f(KEYS[1\n])", "KEYS"),
            (
                "f(KEYS[1],KEYS[2],KEYS[3],KEYS[4],KEYS[5],KEYS[6],KEYS[7])",
                "KEYS",
            ),
        ] {
            assert_eq!(single(text).as_deref(), Some(parameters), "{text}");
        }
        let takes = prepared("f(KEYS[3], KEYS[1])").map(|(_, takes)| takes);
        let places = Words::Places {
            places: [3, 1, 0, 0, 0, 0],
            n: 2,
        };
        let expected = Parameters {
            keys: places,
            argv: Words::No,
        };
        assert_eq!(takes, Some(Takes::OursForScript(expected)));
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
            let script = Script::read(text.as_bytes());
            assert!(script.is_understood());
            assert_eq!(script.foreign_number().as_deref(), found, "{text}");
        }
        assert!(!Script::read(b"return 'x").is_understood());
    }

    #[test]
    fn libraries_have_redis_call_alone() {
        let callback = "function(KEYS, a) if a then return redis.call('get', KEYS[1]) end f(function() return \
                        redis.call('x') end) end";
        let last = "function(KEYS, a) if a then return (_redis_last('get', KEYS[1])) end f(function() return \
                    (_redis_call('x')) end) end";
        let call = "function(KEYS, a) if a then return (_redis_call('get', KEYS[1])) end f(function() return \
                    (_redis_call('x')) end) end";
        for (before, behind, becomes) in [
            ("\nredis.register_function('f', ", ")", last),
            (
                "redis.register_function{function_name='f', callback=",
                "}",
                last,
            ),
            (
                "redis.register_function({callback=",
                ", function_name='f'})",
                last,
            ),
            // These may be called by others.
            ("local f = ", " redis.register_function('f', f)", call),
            ("redis.register_function(f(", "))", call),
            (
                "redis.register_function{function_name='f', x={callback=",
                "}}",
                call,
            ),
        ] {
            let text = format!("{before}{callback}{behind}");
            let source = Script::read(text.as_bytes()).prepare_library();
            let expected = Source {
                text: format!("{HEAD}{before}{becomes}{behind}").into_bytes(),
                takes: Takes::Ours,
            };
            assert_eq!(source, Some(expected), "{text}");
        }
    }
}
