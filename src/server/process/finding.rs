//! What a look at a configuration, or at the system, has found.

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// Worth knowing.
    Note,
    /// It is likely not what is wanted.
    Warning,
    /// The server would not start, or lose data.
    Fault,
}

impl Severity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Fault => "error",
        }
    }
}

/// See the head of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub severity: Severity,
    pub text: String,
}

impl Finding {
    pub(crate) fn note(text: impl Into<String>) -> Finding {
        Finding {
            severity: Severity::Note,
            text: text.into(),
        }
    }

    pub(crate) fn warning(text: impl Into<String>) -> Finding {
        Finding {
            severity: Severity::Warning,
            text: text.into(),
        }
    }

    pub(crate) fn fault(text: impl Into<String>) -> Finding {
        Finding {
            severity: Severity::Fault,
            text: text.into(),
        }
    }
}
