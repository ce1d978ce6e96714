//! The arguments of a command: of one that runs, as slices of the buffer that it came in; of one that outlives it, by themselves.

use std::ops::Index;

use crate::ds::sbuf::SBuf;
use crate::wire::resp::{BIG, Parser, Span};

/// An argument vector, its first argument being the command's name. `server::execution::exec` makes one of its `Args`.
pub(crate) trait Argv {
    fn argc(&self) -> usize;
    /// Argument `i`, which must be below `argc()`.
    fn arg(&self, i: usize) -> &[u8];
}

impl<T: AsRef<[u8]>> Argv for [T] {
    fn argc(&self) -> usize {
        self.len()
    }
    fn arg(&self, i: usize) -> &[u8] {
        self[i].as_ref()
    }
}

/// The command line that stands inside another one from argument `from` on, as in COMMAND GETKEYS.
pub(crate) struct ArgvTail<'a, A: ?Sized> {
    pub argv: &'a A,
    pub from: usize,
}

impl<A: Argv + ?Sized> Argv for ArgvTail<'_, A> {
    fn argc(&self) -> usize {
        self.argv.argc().saturating_sub(self.from)
    }
    fn arg(&self, i: usize) -> &[u8] {
        self.argv.arg(self.from + i)
    }
}

/// The arguments of a running command.
pub(crate) struct Args<'a> {
    text: &'a [u8],
    spans: &'a [Span],
    big: &'a [SBuf],
    /// Bytes of `text` that are the request as it came, when that is what we would write ourselves; 0 else.
    raw_len: usize,
}

impl<'a> Args<'a> {
    /// The request that `parser` has completed in `buf`.
    #[inline]
    pub(crate) fn of(parser: &'a Parser, buf: &'a [u8]) -> Args<'a> {
        Args {
            text: parser.inline_text().unwrap_or(buf),
            spans: parser.spans(),
            big: parser.big(),
            raw_len: if parser.is_canonical() {
                parser.consumed()
            } else {
                0
            },
        }
    }

    /// A request in the form that servers write: the first `len` bytes of `text`.
    #[inline]
    pub(crate) fn whole(text: &'a [u8], spans: &'a [Span], len: usize) -> Args<'a> {
        Args {
            text,
            spans,
            big: &[],
            raw_len: len,
        }
    }

    /// Words of `text`, which came from a file.
    #[inline]
    pub(crate) fn of_spans(text: &'a [u8], spans: &'a [Span]) -> Args<'a> {
        Args {
            text,
            spans,
            big: &[],
            raw_len: 0,
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The bytes of the request, when they can be passed on as they are.
    #[inline]
    pub(crate) fn raw(&self) -> Option<&'a [u8]> {
        let raw = self.text.get(..self.raw_len)?;
        (!raw.is_empty()).then_some(raw)
    }

    /// The argument's own buffer, when it has one: to be kept instead of copied.
    #[inline]
    pub(crate) fn big(&self, i: usize) -> Option<&'a SBuf> {
        let s = self.spans[i];
        (s.start == BIG).then(|| &self.big[s.end as usize])
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|i| &self[i])
    }

    /// An argument, if it is where it should be: for a report of a crash in the middle of something.
    pub(crate) fn get(&self, i: usize) -> Option<&[u8]> {
        let s = self.spans.get(i)?;
        if s.start == BIG {
            return self.big.get(s.end as usize).map(SBuf::as_slice);
        }
        self.text.get(s.start as usize..s.end as usize)
    }

    /// The text that an argument stands in, and where. A big one stands outside of it.
    #[inline(always)]
    pub(super) fn place(&self, i: usize) -> Option<(&[u8], (u32, u32))> {
        let s = self.spans.get(i)?;
        Some((self.text, (s.start, s.end)))
    }

    /// The text that an argument stands in, whichever that is, and where.
    ///
    /// # Panics
    ///
    /// Where there is no such argument.
    #[inline]
    pub(super) fn place_of(&self, i: usize) -> (&[u8], (u32, u32)) {
        let s = self.spans[i];
        if s.start == BIG {
            let own = self.big[s.end as usize].as_slice();
            // No argument is longer than 512 MB.
            return (own, (0, own.len() as u32));
        }
        (self.text, (s.start, s.end))
    }

    /// The command's name as one word, when it has at most seven letters and more of the request follows: the letters, and
    /// the length on top of them. 0: it has not.
    #[inline(always)]
    pub(super) fn short_name(&self) -> u64 {
        let Some(s) = self.spans.first() else {
            return 0;
        };
        let len = s.end.wrapping_sub(s.start);
        if len > 7 {
            return 0;
        }
        let name = self.text.get(s.start as usize..);
        let Some(eight) = name.and_then(|name| name.first_chunk::<8>()) else {
            return 0;
        };
        let letters = u64::from_le_bytes(*eight) & ((1 << (8 * len)) - 1);
        letters | u64::from(len) << 56
    }

    /// Case-insensitive comparison of an argument.
    #[inline]
    pub(crate) fn is(&self, i: usize, word: &str) -> bool {
        self[i].eq_ignore_ascii_case(word.as_bytes())
    }

    /// A copy that outlives the query buffer; big arguments are shared.
    pub(crate) fn to_owned(&self) -> OwnedArgs {
        let mut o = OwnedArgs::default();
        for i in 0..self.len() {
            match self.big(i) {
                Some(b) => o.push_big(b.clone()),
                None => o.push(&self[i]),
            }
        }
        o
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];
    #[inline]
    fn index(&self, i: usize) -> &[u8] {
        let s = self.spans[i];
        if s.start == BIG {
            return self.big[s.end as usize].as_slice();
        }
        &self.text[s.start as usize..s.end as usize]
    }
}

impl Argv for Args<'_> {
    fn argc(&self) -> usize {
        self.len()
    }
    fn arg(&self, i: usize) -> &[u8] {
        &self[i]
    }
}

/// Arguments that own their bytes.
#[derive(Default, Clone, Debug)]
pub(crate) struct OwnedArgs {
    text: Vec<u8>,
    spans: Vec<Span>,
    big: Vec<SBuf>,
}

impl OwnedArgs {
    pub(crate) fn from_slices(args: &[&[u8]]) -> OwnedArgs {
        let mut o = OwnedArgs::default();
        for a in args {
            o.push(a);
        }
        o
    }

    /// Becomes a copy of `args`, in the room that it has.
    pub(crate) fn refill(&mut self, args: &Args) {
        const KEPT: usize = 64 * 1024;
        if self.text.capacity() > KEPT {
            self.text = Vec::new();
        }
        self.text.clear();
        self.spans.clear();
        self.big.clear();
        for i in 0..args.len() {
            match args.big(i) {
                Some(b) => self.push_big(b.clone()),
                None => self.push(&args[i]),
            }
        }
    }

    pub(crate) fn push(&mut self, arg: &[u8]) {
        let end = self.text.len() + arg.len();
        if arg.len() >= crate::wire::resp::PROTO_MBULK_BIG_ARG || end >= BIG as usize {
            return self.push_big(SBuf::from_slice(arg));
        }
        let start = self.text.len() as u32;
        self.text.extend_from_slice(arg);
        self.spans.push(Span {
            start,
            end: end as u32,
        });
    }

    pub(crate) fn push_big(&mut self, arg: SBuf) {
        self.spans.push(Span {
            start: BIG,
            end: self.big.len() as u32,
        });
        self.big.push(arg);
    }

    #[inline]
    pub(crate) fn as_args(&self) -> Args<'_> {
        Args {
            text: &self.text,
            spans: &self.spans,
            big: &self.big,
            raw_len: 0,
        }
    }
}
