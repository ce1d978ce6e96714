//! The scripts that EVAL, EVALSHA and SCRIPT LOAD have brought (lua_scripts of eval.c), found by digest and by body.
//!
//! A body that was seen before is found without its digest being worked out. Scripts that only EVAL has brought may be taken away
//! again: beyond [`EVAL_SCRIPTS_MAX`] of them, or beyond `maxmemory-scripts`, the one that has not run for longest goes first.
//! The compiled functions belong to the machine, and go with it.
//!
//! Invariant: each script is in both indexes; `bytes` is the sum of what the scripts take.

use std::collections::HashMap;
use std::rc::Rc;

use sha1::{Digest, Sha1};
use slab::Slab;

use crate::ds::table::KeyHasher;
use crate::script::flags::{ScriptFlags, Usage};
use crate::script::lua::Kept;
use crate::script::source::{Parameters, Words, may_reach_globals};

/// Scripts that EVAL alone has brought, at most (LRU_LIST_LENGTH of later versions).
pub(crate) const EVAL_SCRIPTS_MAX: usize = 500;

/// A digest as clients write it, in lower case.
pub(crate) type Sha = [u8; 40];

pub(crate) struct Script {
    /// 40 hexadecimal digits.
    pub sha: Rc<[u8]>,
    pub body: Rc<[u8]>,
    pub flags: ScriptFlags,
    /// In EVAL's machine.
    pub function: Kept,
    pub parameters: Parameters,
    /// It may read the globals KEYS or ARGV.
    pub uses_words: bool,
    pub usage: Rc<Usage>,
    /// SCRIPT LOAD has brought it too: it stays.
    pub loaded: bool,
    /// When it was found last, by a clock of its own.
    used: u64,
}

#[derive(Default)]
pub(crate) struct ScriptCache {
    scripts: Slab<Script>,
    by_sha: HashMap<Sha, usize, KeyHasher>,
    by_body: HashMap<Rc<[u8]>, usize, KeyHasher>,
    evictable: usize,
    bytes: usize,
    clock: u64,
    /// Scripts taken away to make room.
    pub evicted: u64,
}

/// SHA-1 in hexadecimal (sha1hex).
pub(crate) fn sha1hex(text: &[u8]) -> Sha {
    let mut hex = [0; 40];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(Sha1::digest(text)) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    hex
}

/// A digest in lower case; `None`: it has not the length of one.
pub(crate) fn as_sha(word: &[u8]) -> Option<Sha> {
    let mut sha: Sha = word.try_into().ok()?;
    sha.make_ascii_lowercase();
    Some(sha)
}

fn memory_of(script: &Script) -> usize {
    // The script, its digest, and its places in the indexes.
    const PLACES: usize = 64;
    const OVERHEAD: usize = size_of::<Script>() + size_of::<Sha>() * 2 + PLACES;
    script.body.len() + OVERHEAD
}

impl ScriptCache {
    pub(crate) fn len(&self) -> usize {
        self.scripts.len()
    }

    /// Bytes that the scripts' bodies and their places take, compiled code not counted (used_memory_scripts_eval).
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    #[inline]
    pub(crate) fn find_body(&mut self, body: &[u8]) -> Option<usize> {
        let i = *self.by_body.get(body)?;
        self.touch(i);
        Some(i)
    }

    #[inline]
    pub(crate) fn find(&mut self, sha: &Sha) -> Option<usize> {
        let i = *self.by_sha.get(sha)?;
        self.touch(i);
        Some(i)
    }

    pub(crate) fn has(&self, word: &[u8]) -> bool {
        as_sha(word).is_some_and(|sha| self.by_sha.contains_key(&sha))
    }

    pub(crate) fn peek(&self, word: &[u8]) -> Option<&Script> {
        let sha = as_sha(word)?;
        self.by_sha.get(&sha).map(|i| &self.scripts[*i])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Script> {
        self.scripts.iter().map(|(_, s)| s)
    }

    pub(crate) fn get(&self, i: usize) -> &Script {
        &self.scripts[i]
    }

    fn touch(&mut self, i: usize) {
        self.clock += 1;
        self.scripts[i].used = self.clock;
    }

    /// Keeps a script that is not there yet; returns where.
    pub(crate) fn insert(
        &mut self,
        sha: Sha,
        body: &[u8],
        flags: ScriptFlags,
        (function, parameters): (Kept, Parameters),
        loaded: bool,
    ) -> usize {
        let has = |word: &[u8]| memchr::memmem::find(body, word).is_some();
        let uses_words = parameters.keys == Words::No && has(b"KEYS")
            || parameters.argv == Words::No && has(b"ARGV")
            || may_reach_globals(body);
        self.clock += 1;
        let script = Script {
            sha: Rc::from(&sha[..]),
            body: Rc::from(body),
            flags,
            function,
            parameters,
            uses_words,
            usage: Rc::default(),
            loaded,
            used: self.clock,
        };
        self.bytes += memory_of(&script);
        self.evictable += usize::from(!loaded);
        let body = script.body.clone();
        let i = self.scripts.insert(script);
        self.by_sha.insert(sha, i);
        self.by_body.insert(body, i);
        i
    }

    /// SCRIPT LOAD has brought it: it stays from now on.
    pub(crate) fn note_loaded(&mut self, i: usize) {
        if !std::mem::replace(&mut self.scripts[i].loaded, true) {
            self.evictable -= 1;
        }
    }

    /// Takes the script away that has to go, if one has to; `spared` stays. `max_bytes`: none is no limit.
    pub(crate) fn evict(&mut self, max_bytes: Option<usize>, spared: usize) -> Option<Script> {
        let too_many = self.evictable > EVAL_SCRIPTS_MAX;
        if !too_many && max_bytes.is_none_or(|max| self.bytes <= max) {
            return None;
        }
        let candidates = self
            .scripts
            .iter()
            .filter(|(i, s)| !s.loaded && *i != spared);
        let (oldest, _) = candidates.min_by_key(|(_, s)| s.used)?;
        self.evicted += 1;
        Some(self.remove(oldest))
    }

    fn remove(&mut self, i: usize) -> Script {
        let script = self.scripts.remove(i);
        if let Some(sha) = as_sha(&script.sha) {
            self.by_sha.remove(&sha);
        }
        self.by_body.remove(&script.body);
        self.bytes -= memory_of(&script);
        self.evictable -= usize::from(!script.loaded);
        script
    }

    /// Forgets all scripts; returns them, to be freed elsewhere. Their functions go with the machine.
    pub(crate) fn take_all(&mut self) -> ScriptCache {
        let evicted = self.evicted;
        let all = std::mem::take(self);
        self.evicted = evicted;
        all
    }
}
