//! Sets of function libraries: how libraries are found, joined and measured (functions.c). They know no server.
//!
//! A library is its code; compiling it again gives the same functions, so that its code is all that files and replicas get. Names of
//! functions are looked up without regard to case, names of libraries with it.
//!
//! Invariants: each function of a library is in the index of functions, and no other is; a set of libraries belongs to the machine
//! it was compiled in.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use bitflags::bitflags;

use crate::base::split_args::sdssplitargs;
use crate::ds::table::KeyHasher;
use crate::script::flags::{ScriptFlags, Usage};
use crate::script::lua::Kept;

/// The engine's name, as it is shown.
pub(crate) const ENGINE_NAME: &str = "LUA";

pub(super) const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character \
                        long";

pub(crate) struct Function {
    pub name: Rc<[u8]>,
    pub description: Option<Vec<u8>>,
    pub flags: ScriptFlags,
    pub usage: Rc<Usage>,
    pub function: Kept,
}

pub(crate) struct Library {
    pub name: Rc<[u8]>,
    /// As it came, its first line included.
    pub code: Rc<[u8]>,
    /// In the order in which they were registered.
    pub functions: Vec<Rc<Function>>,
}

impl Library {
    fn memory(&self) -> usize {
        const OVERHEAD: usize = size_of::<Library>() + size_of::<Rc<[u8]>>();
        let functions = self.functions.iter().map(|f| {
            let description = f.description.as_ref().map_or(0, Vec::len);
            2 * f.name.len() + description + size_of::<Function>()
        });
        OVERHEAD + self.name.len() + self.code.len() + functions.sum::<usize>()
    }
}

bitflags! {
    /// How a library is loaded.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct CreateFlags: u8 {
        /// It takes the place of one of its name.
        const REPLACE = 1 << 0;
        /// It may take its time: who sent it must be obeyed, or a file has it.
        const UNLIMITED = 1 << 1;
    }
}

/// What becomes of the libraries that are there when others are restored (functionsRestorePolicy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restore {
    /// They stay; one of a new one's name is a collision, and nothing is restored.
    Append,
    /// They stay but for those of new ones' names.
    Replace,
    /// They go.
    Flush,
}

/// A set of libraries (functionsLibCtx).
#[derive(Default)]
pub(crate) struct Libraries {
    pub(super) libraries: BTreeMap<Rc<[u8]>, Library>,
    functions: HashMap<Box<[u8]>, Rc<Function>, KeyHasher>,
}

/// What the functions of a library that loads are registered in.
pub(crate) struct Loading {
    pub functions: Vec<Function>,
    /// Their names.
    pub names: HashSet<Rc<[u8]>, KeyHasher>,
    /// Unix us; none: it may take its time.
    pub ends_us: Option<i64>,
}

/// Why libraries could not be joined or loaded, as it is replied.
pub(crate) type Problem = String;

pub(super) fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_')
}

impl Libraries {
    pub(crate) fn len(&self) -> usize {
        self.libraries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.libraries.is_empty()
    }

    pub(crate) fn functions_len(&self) -> usize {
        self.functions.len()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Library> {
        self.libraries.values()
    }

    /// Bytes of the libraries, compiled code not counted (functionsMemoryOverhead).
    pub(crate) fn memory(&self) -> usize {
        self.libraries.values().map(Library::memory).sum()
    }

    #[inline]
    pub(crate) fn find(&self, name: &[u8]) -> Option<&Rc<Function>> {
        const SHORT: usize = 64;
        // Most names are in lower case already.
        if let Some(found) = self.functions.get(name) {
            return Some(found);
        }
        let mut lower = [0; SHORT];
        match lower.get_mut(..name.len()) {
            Some(lower) => {
                lower.copy_from_slice(name);
                lower.make_ascii_lowercase();
                self.functions.get(&*lower)
            }
            None => self.functions.get(&name.to_ascii_lowercase()[..]),
        }
    }

    pub(super) fn link(&mut self, library: Library) {
        for f in &library.functions {
            let name = f.name.to_ascii_lowercase().into_boxed_slice();
            self.functions.insert(name, f.clone());
        }
        self.libraries.insert(library.name.clone(), library);
    }

    pub(super) fn unlink(&mut self, name: &[u8]) -> Option<Library> {
        let library = self.libraries.remove(name)?;
        for f in &library.functions {
            self.functions.remove(&f.name.to_ascii_lowercase()[..]);
        }
        Some(library)
    }

    /// The first function of `library` that is here already.
    pub(super) fn collision(&self, library: &Library) -> Option<Problem> {
        let taken = |f: &&Rc<Function>| self.find(&f.name).is_some();
        let f = library.functions.iter().find(taken)?;
        Some(format!("Function {} already exists", shown(&f.name)))
    }

    /// Takes all libraries of `others` in, or none (libraryJoin). Returns what they have replaced.
    pub(super) fn join(
        &mut self,
        others: Libraries,
        replace: bool,
    ) -> Result<Vec<Library>, (Problem, Libraries)> {
        let mut old = Vec::new();
        let mut problem = None;
        for name in others.libraries.keys() {
            if !self.libraries.contains_key(name) {
                continue;
            }
            if !replace {
                problem = Some(format!("Library {} already exists", shown(name)));
                break;
            }
            old.extend(self.unlink(name));
        }
        let problem = problem.or_else(|| others.iter().find_map(|l| self.collision(l)));
        if let Some(problem) = problem {
            for library in old {
                self.link(library);
            }
            return Err((problem, others));
        }
        for library in others.libraries.into_values() {
            self.link(library);
        }
        Ok(old)
    }
}

/// The words of a text's first line, and how long it is without its end. None: it does not end, or not before a NUL, where C
/// stops reading.
pub(super) fn first_line(code: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let end = memchr::memchr2(b'\n', 0, code).filter(|end| code[*end] == b'\n')?;
    Some((sdssplitargs(&code[..end]).unwrap_or_default(), end))
}

/// What the first line of a library says: its name, and how long the line is without its end.
pub(super) fn extract_metadata(code: &[u8]) -> Result<(Vec<u8>, usize), Problem> {
    if !code.starts_with(b"#!") {
        return Err("Missing library metadata".into());
    }
    let (parts, end) = first_line(code).ok_or("Invalid library metadata")?;
    let (engine, options) = parts.split_first().ok_or("Invalid library metadata")?;
    let mut name: Option<Vec<u8>> = None;
    for option in options {
        match option.get(..5) {
            Some(key) if key.eq_ignore_ascii_case(b"name=") => {
                if name.is_some() {
                    return Err(
                        "Invalid metadata value, name argument was given multiple times".into(),
                    );
                }
                name = Some(option[5..].to_vec());
            }
            _ => return Err(format!("Invalid metadata value given: {}", shown(option))),
        }
    }
    let name = name.ok_or("Library name was not given")?;
    if !is_name(&name) {
        return Err(BAD_NAME.into());
    }
    let engine = &engine[2..];
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err(format!("Engine '{}' not found", shown(engine)));
    }
    Ok((name, end))
}
