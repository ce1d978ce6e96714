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

use super::foreign;
use super::lexer::{Kind, Token, is_keyword, is_operator, tokens};
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

/// What is known of a text's tokens.
struct Tokens<'t> {
    text: &'t [u8],
    all: &'t [Token],
    /// For each token, the `function` whose block or parameters it is in; none inside: the body.
    functions: Vec<Option<usize>>,
    /// For each token, the bracket that it is in, within its function.
    brackets: Vec<Option<usize>>,
    /// For each token, whether it surely is part of a value, not of what is assigned to or declared.
    values: Vec<bool>,
    /// For each opening bracket the closing one; for each `function` its `end`.
    ends: Vec<Option<usize>>,
}

/// What is open where a text is looked through.
struct Open {
    token: usize,
    /// It is a function's block; else a bracket, or another block.
    what: Opened,
    /// What was true around it.
    value: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opened {
    Function,
    Block,
    Bracket(u8),
}

impl<'t> Tokens<'t> {
    /// None: brackets or blocks do not end as they begin.
    fn new(text: &'t [u8], all: &'t [Token]) -> Option<Tokens<'t>> {
        let mut this = Tokens {
            text,
            functions: Vec::with_capacity(all.len()),
            brackets: Vec::with_capacity(all.len()),
            values: Vec::with_capacity(all.len()),
            ends: vec![None; all.len()],
            all,
        };
        this.look_through()?;
        Some(this)
    }

    fn look_through(&mut self) -> Option<()> {
        let mut open: Vec<Open> = Vec::new();
        // The innermost function, the innermost bracket within it, and whether a value is being read.
        let (mut function, mut bracket, mut value) = (None, None, false);
        // A function's name and parameters are declared, whatever they look like.
        let mut declares = false;
        for i in 0..self.all.len() {
            let word = self.word(i);
            let sign = self.sign(Some(i));
            // Two values in a row: a statement begins.
            let begins =
                self.all[i].kind == Kind::Word && !is_operator(word) && self.ends_a_value(i);
            if bracket.is_none() && begins {
                value = false;
            }
            self.functions.push(function);
            self.brackets.push(bracket);
            self.values.push(value && !declares);
            match (sign, word) {
                (Some(c @ (b'(' | b'{' | b'[')), _) => {
                    open.push(Open {
                        token: i,
                        what: Opened::Bracket(c),
                        value,
                    });
                    bracket = Some(i);
                    value = true;
                }
                (Some(c @ (b')' | b'}' | b']')), _) => {
                    let last = open.pop()?;
                    let fits = match last.what {
                        Opened::Bracket(b'(') => c == b')',
                        Opened::Bracket(b'{') => c == b'}',
                        Opened::Bracket(_) => c == b']',
                        _ => false,
                    };
                    if !fits {
                        return None;
                    }
                    self.ends[last.token] = Some(i);
                    self.brackets[i] = self.brackets[last.token];
                    (bracket, value) = (self.brackets[last.token], last.value);
                    declares = false;
                }
                (Some(b'='), _) => {
                    // Of `==`, `<=`, `>=` and `~=`, too: they stand in values.
                    value = true;
                }
                (Some(b';'), _) if bracket.is_none() => value = false,
                (_, b"function") => {
                    open.push(Open {
                        token: i,
                        what: Opened::Function,
                        value,
                    });
                    (function, bracket, value, declares) = (Some(i), None, false, true);
                }
                (_, b"do" | b"then" | b"repeat") => {
                    open.push(Open {
                        token: i,
                        what: Opened::Block,
                        value: false,
                    });
                    value = false;
                }
                // An `elseif` has a `then` of its own, which opens a block again; an `else` goes on with the same one.
                (_, b"end" | b"until" | b"elseif") => {
                    let last = open.pop()?;
                    match last.what {
                        Opened::Function => {
                            self.ends[last.token] = Some(i);
                            (function, bracket) =
                                (self.functions[last.token], self.brackets[last.token]);
                            value = last.value;
                        }
                        Opened::Block => value = word != b"end",
                        Opened::Bracket(_) => return None,
                    }
                }
                (_, b"return" | b"if" | b"while" | b"in") => value = true,
                (_, b"local" | b"for" | b"else" | b"break" | b"goto") => value = false,
                _ => {}
            }
        }
        open.is_empty().then_some(())
    }

    /// Whether a value ends before token `i`.
    fn ends_a_value(&self, i: usize) -> bool {
        let Some(before) = i.checked_sub(1) else {
            return false;
        };
        match self.all[before].kind {
            Kind::Literal => true,
            Kind::Word => !is_keyword(self.word(before)),
            Kind::Sign(c) => matches!(c, b')' | b'}' | b']'),
        }
    }

    fn word(&self, i: usize) -> &'t [u8] {
        match self.all.get(i) {
            Some(t) if t.kind == Kind::Word => &self.text[t.start..t.end],
            _ => b"",
        }
    }

    fn sign(&self, i: Option<usize>) -> Option<u8> {
        match self.all.get(i?)?.kind {
            Kind::Sign(c) => Some(c),
            _ => None,
        }
    }

    /// Where the text is to have `,nil` inserted, in rising order.
    fn returns(&self) -> Vec<usize> {
        let mut places = Vec::new();
        // The end of what a return of the body returns, so far.
        let mut returning: Option<Option<usize>> = None;
        for (i, token) in self.all.iter().enumerate() {
            let in_body = self.functions[i].is_none() && self.brackets[i].is_none();
            let ends = token.kind == Kind::Sign(b';')
                || matches!(self.word(i), b"end" | b"else" | b"elseif" | b"until");
            if let (Some(last), true, true) = (returning, in_body, ends) {
                places.extend(last);
                returning = None;
            }
            if returning.is_none() && in_body && self.word(i) == b"return" {
                returning = Some(None);
            } else if let Some(last) = &mut returning {
                *last = Some(token.end);
            }
        }
        places.extend(returning.flatten());
        places
    }

    fn uses<'u>(&'u self, name: &'static [u8]) -> Uses<'u, 't> {
        Uses { tokens: self, name }
    }

    /// Token `i` begins a `...`.
    fn is_vararg(&self, i: usize) -> bool {
        let dot = |i| self.sign(Some(i)) == Some(b'.');
        let joined = |i: usize| self.all[i].end == self.all[i + 1].start;
        dot(i) && dot(i + 1) && dot(i + 2) && joined(i) && joined(i + 1)
    }

    /// Where the heads of functions end that take any number of arguments, do not name them, and use a name `arg`.
    fn heads_without_arg(&self) -> Vec<usize> {
        let mut places = Vec::new();
        for f in 0..self.all.len() {
            let (b"function", Some(end)) = (self.word(f), self.ends[f]) else {
                continue;
            };
            let open = (f + 1..end).find(|i| self.sign(Some(*i)) == Some(b'('));
            let Some((open, close)) = open.and_then(|o| Some((o, self.ends[o]?))) else {
                continue;
            };
            let takes_any = (open + 1..close).any(|i| self.is_vararg(i));
            let names_them =
                (close + 1..end).any(|i| self.functions[i] == Some(f) && self.is_vararg(i));
            let uses_arg = (close + 1..end).any(|i| self.word(i) == b"arg");
            if takes_any && !names_them && uses_arg {
                places.push(self.all[close].end);
            }
        }
        places
    }

    /// The `function` tokens of callbacks that are written where `redis.register_function` registers them: nobody but FCALL can
    /// call them. (`redis` is what it is called.)
    fn is_callback(&self, function: usize) -> bool {
        let Some(bracket) = self.brackets[function] else {
            return false;
        };
        let registers = |open: Option<usize>| {
            let field = open.and_then(|o| o.checked_sub(3));
            field.is_some_and(|f| {
                let whole = !matches!(self.sign(f.checked_sub(1)), Some(b'.' | b':'));
                whole
                    && self.word(f) == b"redis"
                    && self.sign(Some(f + 1)) == Some(b'.')
                    && self.word(f + 2) == b"register_function"
            })
        };
        let behind = self.ends[function].and_then(|end| self.sign(Some(end + 1)));
        let before = self.sign(function.checked_sub(1));
        match self.sign(Some(bracket)) {
            Some(b'(') => {
                registers(Some(bracket))
                    && function == bracket + 3
                    && self.all[bracket + 1].kind == Kind::Literal
                    && before == Some(b',')
                    && behind == Some(b')')
            }
            Some(b'{') => {
                let round = bracket
                    .checked_sub(1)
                    .filter(|o| self.sign(Some(*o)) == Some(b'('));
                (registers(Some(bracket)) || registers(round))
                    && before == Some(b'=')
                    && function >= 2
                    && self.word(function - 2) == b"callback"
                    && matches!(behind, Some(b',' | b';' | b'}'))
            }
            _ => false,
        }
    }
}

/// How a name is used where it is not the field of something.
struct Uses<'u, 't> {
    tokens: &'u Tokens<'t>,
    name: &'static [u8],
}

impl<'u, 't> Uses<'u, 't> {
    /// The places among the tokens.
    fn iter(&self) -> impl Iterator<Item = usize> + use<'u, 't> {
        let (tokens, name) = (self.tokens, self.name);
        (0..tokens.all.len()).filter(move |&i| {
            let before = tokens.sign(i.checked_sub(1));
            let concatenated = tokens.sign(i.checked_sub(2)) == Some(b'.');
            let field = before == Some(b':') || (before == Some(b'.') && !concatenated);
            !field && tokens.word(i) == name
        })
    }

    fn sign(&self, i: usize) -> Option<u8> {
        self.tokens.sign(Some(i))
    }

    /// Whether what stands from token `first` to `last` is assigned to, or declared, as far as can be told: what surely is not, is
    /// read.
    fn is_bound(&self, first: usize, last: usize) -> bool {
        let t = self.tokens;
        if self.sign(last + 1) == Some(b'=') && self.sign(last + 2) != Some(b'=') {
            return true;
        }
        let before = first.checked_sub(1);
        let declared =
            before.is_some_and(|b| matches!(t.word(b), b"local" | b"function" | b"for" | b"goto"));
        let listed = t.sign(before) == Some(b',') || self.sign(last + 1) == Some(b',');
        // A parameter stands in a bracket behind `function` and perhaps a name.
        let parameter = t.brackets[first].is_some_and(|open| {
            let function = t.functions[first];
            let head =
                function.and_then(|f| (f + 1..).find(|i| self.sign(*i) == Some(b'(') || *i > open));
            head == Some(open)
        });
        declared || parameter || listed && !t.values[first]
    }

    /// Whether all uses read it; and there is one.
    fn are_plain(&self) -> bool {
        let mut uses = self.iter().peekable();
        let some = uses.peek().is_some();
        some && uses.all(|i| !self.is_bound(i, i))
    }

    /// The field that is read at use `i`.
    fn field(&self, i: usize) -> Option<&'t [u8]> {
        let field = self.tokens.word(i + 2);
        let is_field = self.sign(i + 1) == Some(b'.') && !field.is_empty();
        (is_field && !self.is_bound(i, i + 2)).then_some(field)
    }

    /// Whether it is read, and for nothing but its fields.
    fn are_fields(&self) -> bool {
        self.are_plain() && self.iter().all(|i| self.field(i).is_some())
    }

    /// Where the call ends that begins with use `i` and its field, when a function returns it and nothing else.
    fn end_of_returned_call(&self, i: usize) -> Option<usize> {
        let t = self.tokens;
        let before = i.checked_sub(1)?;
        if t.word(before) != b"return" || self.sign(i + 3) != Some(b'(') {
            return None;
        }
        let close = t.ends[i + 3]?;
        let ends = match t.all.get(close + 1) {
            None => true,
            Some(behind) => {
                let word = &t.text[behind.start..behind.end];
                matches!(word, b";" | b"end" | b"else" | b"elseif" | b"until")
            }
        };
        ends.then(|| t.all[close].end)
    }

    /// Puts locals in the place of these functions of the library that has this name, which is used for nothing but its fields.
    /// Only those uses are replaced that `among` is true of. `last` says of a call that a function returns whether its reply may
    /// go out as it came.
    fn replace_fields(
        &self,
        fields: &[Field],
        among: impl Fn(usize) -> bool,
        last: impl Fn(usize) -> bool,
        changes: &mut Vec<Change>,
    ) {
        for i in self.iter() {
            let field = self.field(i);
            let known = fields
                .iter()
                .find(|(name, _)| Some(name.as_bytes()) == field && among(i));
            let Some(&(name, mut local)) = known else {
                continue;
            };
            if let Some(end) = self.end_of_returned_call(i) {
                changes.push((self.tokens.all[i].start, 0, "(".into()));
                changes.push((end, 0, ")".into()));
                if name == "call" && last(i) {
                    local = LAST;
                }
            }
            self.replace(i, i + 2, local.into(), changes);
        }
    }

    /// Puts `new` in the place of tokens `from` to `to`, unless a line's end between them would be lost.
    fn replace(&self, from: usize, to: usize, mut new: String, changes: &mut Vec<Change>) -> bool {
        let t = self.tokens;
        let (start, end) = (t.all[from].start, t.all[to].end);
        let one_line = memchr::memchr2(b'\n', b'\r', &t.text[start..end]).is_none();
        if one_line {
            // What stands right behind a bracket may be a word.
            new.push(' ');
            changes.push((start, end - start, new.into()));
        }
        one_line
    }

    /// The place that use `i` reads as `KEYS[place]`, where this is a value that nothing is done with but to pass it on or to
    /// compare it: errors do not name it then.
    fn place(&self, i: usize) -> Option<u8> {
        let t = self.tokens;
        let token = t.all.get(i + 2)?;
        let literal = self.sign(i + 1) == Some(b'[')
            && token.kind == Kind::Literal
            && self.sign(i + 3) == Some(b']');
        let place = match t.text.get(token.start..token.end)? {
            [digit @ b'1'..=b'9'] if literal => digit - b'0',
            _ => return None,
        };
        if self.is_bound(i, i + 3) {
            return None;
        }
        let before = i.checked_sub(1)?;
        let begins = match t.all[before].kind {
            Kind::Sign(b'(') => t.ends_a_value(before),
            Kind::Sign(c) => matches!(c, b'{' | b',' | b'=' | b'<' | b'>'),
            Kind::Word => matches!(
                t.word(before),
                b"return" | b"and" | b"or" | b"not" | b"if" | b"elseif" | b"while" | b"until"
            ),
            Kind::Literal => false,
        };
        let ends = match t.all.get(i + 4).map(|t| t.kind) {
            None | Some(Kind::Word) => true,
            Some(Kind::Sign(c)) => {
                matches!(c, b')' | b'}' | b',' | b';' | b'<' | b'>' | b'~' | b'=')
            }
            Some(Kind::Literal) => false,
        };
        (begins && ends).then_some(place)
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
    text: Cow<'t, [u8]>,
    /// None: it is not well-formed, or too long to be changed.
    tokens: Option<Vec<Token>>,
    problem: Option<String>,
    well_formed: bool,
}

/// Texts longer than this are compiled as they are: what is kept of each token would be many times the text.
const PREPARED_MAX: usize = 256 << 10;

impl<'t> Script<'t> {
    pub(crate) fn read(text: &'t [u8]) -> Script<'t> {
        let is_prepared = text.len() <= PREPARED_MAX;
        let found = foreign::look(text, is_prepared);
        let mut script = Script {
            text: Cow::Borrowed(text),
            tokens: None,
            problem: found.problem,
            well_formed: found.well_formed,
        };
        let escapes = !found.escapes.is_empty();
        if escapes {
            // As Lua 5.1 reads them: the backslash counts for nothing.
            let mut plain = Vec::with_capacity(text.len());
            let mut from = 0;
            for at in found.escapes {
                plain.extend_from_slice(&text[from..at]);
                from = at + 1;
            }
            plain.extend_from_slice(&text[from..]);
            script.text = Cow::Owned(plain);
        }
        if is_prepared && script.problem.is_none() && script.well_formed {
            script.tokens = match escapes {
                true => tokens(&script.text),
                false => Some(found.tokens),
            };
            script.declare_arg();
        }
        script
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// What is not understood has to be refused by the compiler, too.
    pub(crate) fn is_understood(&self) -> bool {
        self.well_formed
    }

    /// Why the text may not be compiled, behind its source's name; none: nothing was found.
    pub(crate) fn foreign(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// A function of any number of arguments has them in a local `arg` where it does not name `...` (LUA_COMPAT_VARARG). The
    /// machine makes none.
    fn declare_arg(&mut self) {
        let has = |word: &[u8]| memchr::memmem::find(&self.text, word).is_some();
        if !has(b"arg") || !has(b"...") {
            return;
        }
        let Some(places) = self.look_through().map(|tokens| tokens.heads_without_arg()) else {
            return;
        };
        let changes = places
            .into_iter()
            .map(|at| (at, 0, " local arg={n=select('#',...),...}".into()));
        if let Some(text) = self.with_changes(changes) {
            self.tokens = tokens(&text);
            self.text = Cow::Owned(text);
        }
    }

    fn look_through(&self) -> Option<Tokens<'_>> {
        Tokens::new(&self.text, self.tokens.as_deref()?)
    }

    /// The text with nothing changed but its body's returns, for who is to see it as it was written; none where it stays as it is.
    pub(crate) fn keep_frames(&self) -> Option<Vec<u8>> {
        self.with_changes(returns_with_nil(self.look_through()?.returns()))
    }

    /// A script as it is compiled; none where it stays as it is.
    pub(crate) fn prepare(&self) -> Option<Source> {
        let tokens = self.look_through()?;
        let mut changes: Vec<Change> = Vec::new();
        let mut parameters = Parameters::default();
        let (mut redis, mut ours) = (false, false);
        if self.is_free() {
            parameters.keys = tokens.uses(b"KEYS").words(KEY, &mut changes);
            parameters.argv = tokens.uses(b"ARGV").words(ARG, &mut changes);
            let cjson = tokens.uses(b"cjson");
            if cjson.are_fields() {
                let before = changes.len();
                cjson.replace_fields(&CJSON, |_| true, |_| false, &mut changes);
                ours = changes.len() > before;
            }
            redis = tokens.uses(b"redis").are_fields();
            if redis {
                let of_body = |i: usize| tokens.functions[i].is_none();
                let uses = tokens.uses(b"redis");
                uses.replace_fields(&REDIS, |_| true, of_body, &mut changes);
            }
        }
        changes.extend(returns_with_nil(tokens.returns()));
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
        let tokens = self.look_through()?;
        let redis = tokens.uses(b"redis");
        if !self.is_free() || !redis.are_fields() {
            return None;
        }
        let of_callback = |i: usize| tokens.functions[i].is_some_and(|f| tokens.is_callback(f));
        let mut changes: Vec<Change> = Vec::new();
        // While it loads, there is nothing of these: they are looked for, and not found.
        let in_function = |i: usize| tokens.functions[i].is_some();
        redis.replace_fields(&REDIS, in_function, of_callback, &mut changes);
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

    /// Nothing in the text could be taken for our own names, or for the arguments that they come in; and globals are reached, and
    /// environments changed, by what is written there alone.
    fn is_free(&self) -> bool {
        let has = |word: &[u8]| memchr::memmem::find(&self.text, word).is_some();
        !has(b"...") && !has(OURS.as_bytes()) && !may_reach_globals(&self.text)
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

/// Whether a text may reach globals that it does not name, or change what names mean.
pub(crate) fn may_reach_globals(text: &[u8]) -> bool {
    let words: [&[u8]; 3] = [b"load", b"_G", b"fenv"];
    words
        .iter()
        .any(|word| memchr::memmem::find(text, word).is_some())
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

    /// Without the blank that stands behind each name of ours.
    fn plain(text: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(text).into_owned();
        let fields = REDIS
            .iter()
            .chain(&CJSON)
            .map(|(_, local)| local.to_string());
        let places = (1..=9).flat_map(|n| [format!("{KEY}{n}"), format!("{ARG}{n}")]);
        for name in fields.chain(places).chain([LAST.to_string()]) {
            text = text.replace(&format!("{name} "), &name);
        }
        text
    }

    fn prepared(text: &str) -> Option<(String, Takes)> {
        let source = Script::read(text.as_bytes()).prepare()?;
        Some((plain(&source.text), source.takes))
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
            ("return {1;2;f(3)};", "return {1;2;f(3)},nil;"),
            ("return #{1;2}", "return #{1;2},nil"),
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
                "local k=KEYS[1]redis.call('set',k,1)return k",
                "(_redis_key1) local k=_redis_key1_redis_call('set',k,1)return k,nil",
            ),
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
            "KEYS, x = 1, 2",
            "local x KEYS, x = 1, 2",
            "x, KEYS, y = 1, 2, 3",
            "function KEYS() end",
            "local a, KEYS",
            "for KEYS in x do end",
            "for a, KEYS in x do end",
            "function redis.call() end redis.call()",
            "local function redis() end",
            "local x redis.call, x = 1, 2 redis.call()",
            "function cjson.encode() end cjson.encode()",
            "local redis.call",
            "local a, redis.call",
            "local f = function(redis.call) end",
            "for redis.call in x do end",
            "for a, redis.call in x do end",
            // What names mean may change, or be found otherwise.
            "setfenv(1, {}) redis.call()",
            "loadstring('KEYS = 1')() f(KEYS[1])",
            "f(_G.KEYS == KEYS, redis.call())",
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
            ("f(1) KEYS[1], y = 1, 2", "KEYS"),
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
        for text in [
            "x, KEYS[1] = 1, 2",
            "x, KEYS[1], y = 1, 2, 3",
            "f(function() x, KEYS[1], y = 1, 2, 3 end)",
            "local a, KEYS[1] = 1",
            "local function f(KEYS[1]) end",
            "for KEYS[1] in x do end",
        ] {
            assert_eq!(single(text), None, "{text}");
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
            ("return 0b11", Some("1: malformed number near '0b11'")),
            ("--\rreturn 1LL", Some("1: malformed number near '1LL'")),
            ("::a:: f(x:y())", Some("1: unexpected symbol near ':'")),
            ("# first", Some("1: unexpected symbol near '#'")),
            ("return a:b()", None),
        ] {
            let script = Script::read(text.as_bytes());
            assert!(script.is_understood());
            assert_eq!(script.foreign(), found, "{text}");
        }
        assert!(!Script::read(b"return 'x").is_understood());
        assert!(Script::read(b"return 'a\\\r\nb'").is_understood());
        // These mean nothing to Lua 5.1.
        let escapes = Script::read(b"return '\\x41\\\\x\\z\\u{41}\\65' .. [[\\x41]] -- '\\x41'");
        let plain = b"return 'x41\\\\xzu{41}\\65' .. [[\\x41]] -- '\\x41'";
        assert_eq!(
            String::from_utf8_lossy(escapes.text()),
            String::from_utf8_lossy(plain)
        );
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
            (
                "redis.register_function{function_name='f', callback=false or ",
                "}",
                call,
            ),
            ("redis.register_function('f', ", " and f)", call),
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
            let text_after = source.as_ref().map(|s| plain(&s.text));
            let expected = format!("{HEAD}{before}{becomes}{behind}");
            assert_eq!(text_after, Some(expected), "{text}");
            assert!(source.is_some_and(|s| s.takes == Takes::Ours));
        }
    }
}
