//! The keys that a search finds among the arguments of a call, or why it finds none.

use std::fmt;

use super::flags::KeyFlags;

/// A key among the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyRef {
    /// Which argument; always within the vector that was searched.
    pub pos: usize,
    pub flags: KeyFlags,
}

/// Where keys are collected; keeps some memory from one search to the next.
#[derive(Debug, Default)]
pub(crate) struct KeyRefs {
    refs: Vec<KeyRef>,
}

/// Places that are kept from one search to the next: more are of a request that is not the usual.
const KEPT: usize = 1024;

impl KeyRefs {
    pub(crate) fn clear(&mut self) {
        self.refs.clear();
        self.refs.shrink_to(KEPT);
    }

    pub(crate) fn push(&mut self, pos: usize, flags: KeyFlags) {
        self.refs.push(KeyRef { pos, flags });
    }
}

impl std::ops::Deref for KeyRefs {
    type Target = [KeyRef];
    fn deref(&self) -> &[KeyRef] {
        &self.refs
    }
}

/// Why the keys of a call cannot be told. The texts are those of COMMAND GETKEYS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GetKeysError {
    InvalidCommand,
    NoKeyArguments,
    InvalidNumberOfArguments,
    InvalidArguments,
}

impl GetKeysError {
    pub(crate) const fn message(self) -> &'static str {
        match self {
            GetKeysError::InvalidCommand => "Invalid command specified",
            GetKeysError::NoKeyArguments => "The command has no key arguments",
            GetKeysError::InvalidNumberOfArguments => {
                "Invalid number of arguments specified for command"
            }
            GetKeysError::InvalidArguments => "Invalid arguments specified for command",
        }
    }
}

impl fmt::Display for GetKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for GetKeysError {}
