//! LCS: the longest common subsequence of two strings (lcsCommand of t_string.c).
//!
//! The dynamic programme over a table of a x b cells. What upstream's table of lengths would take is bounded by
//! proto-max-bulk-len, as there; ours has a bit for each cell. The ties are broken as upstream breaks them, so that the
//! matches of IDX are the same ones. When only the length is asked for, one row does.

use crate::base::num::LONG_STR_SIZE;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{At, Lookup};
use crate::store::entry::Type;

use super::string_bytes;

/// What the client wants to see.
#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    with_match_len: bool,
    min_match_len: u64,
}

/// A common substring: where it starts in either string, and its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Match {
    a: usize,
    b: usize,
    len: usize,
}

/// The table of the lengths of the longest common subsequences of all prefixes, a bit a cell.
///
/// Along a row each length is that of the cell to the left, or one more. So a row is told by the places where it grows, and
/// is made from the one above, 64 cells at a time (Crochemore et al., "A fast and practical bit-vector algorithm for the
/// longest common subsequence problem", 2001).
struct LcsTable {
    /// The rows of the prefixes of `a` from the one of one byte on: bits are 0 where the length grows with that byte of `b`.
    /// Only the last row when no more was asked for.
    rows: Vec<u64>,
    /// Words of a row.
    words: usize,
}

/// Where a string has each byte.
struct Positions {
    /// Which of the lists of bits a byte has, counted from one; 0: the byte does not occur.
    of: [u16; 256],
    /// The lists, as long as a row.
    bits: Vec<u64>,
}

impl Positions {
    fn of(s: &[u8], words: usize) -> Option<Positions> {
        let mut p = Positions {
            of: [0; 256],
            bits: Vec::new(),
        };
        let mut lists = 0;
        for c in s {
            let list = &mut p.of[usize::from(*c)];
            if *list == 0 {
                lists += 1;
                *list = lists;
            }
        }
        let size = words.checked_mul(usize::from(lists))?;
        p.bits.try_reserve_exact(size).ok()?;
        p.bits.resize(size, 0);
        for (i, c) in s.iter().enumerate() {
            let list = usize::from(p.of[usize::from(*c)] - 1);
            p.bits[list * words + i / 64] |= 1 << (i % 64);
        }
        Some(p)
    }

    fn get(&self, c: u8, words: usize) -> Option<&[u64]> {
        let list = usize::from(self.of[usize::from(c)]).checked_sub(1)?;
        self.bits.get(list * words..(list + 1) * words)
    }
}

/// A row from the one above it; `at` says where `b` has the row's byte.
#[inline]
fn fill_row(above: &[u64], below: &mut [u64], at: &[u64]) {
    let mut carry = false;
    for ((below, above), at) in below.iter_mut().zip(above).zip(at) {
        let (sum, over) = above.overflowing_add(above & at);
        let (sum, over_again) = sum.overflowing_add(u64::from(carry));
        carry = over || over_again;
        *below = sum | (above & !at);
    }
}

impl LcsTable {
    /// Fills the table; `None` when there is no memory for it.
    fn build(a: &[u8], b: &[u8], all_rows: bool) -> Option<LcsTable> {
        let words = b.len().div_ceil(64);
        let positions = Positions::of(b, words)?;
        let kept = if all_rows { a.len() } else { 1 };
        let mut rows: Vec<u64> = Vec::new();
        rows.try_reserve_exact(words.checked_mul(kept.max(1))?)
            .ok()?;
        // Before the first byte of `a` nothing grows.
        let mut row = vec![u64::MAX; words];
        let mut next = row.clone();
        for c in a {
            if let Some(at) = positions.get(*c, words) {
                fill_row(&row, &mut next, at);
                std::mem::swap(&mut row, &mut next);
            }
            if all_rows {
                rows.extend_from_slice(&row);
            }
        }
        if !all_rows {
            rows.extend_from_slice(&row);
        }
        Some(LcsTable { rows, words })
    }

    /// Whether the length for the first `i` bytes of `a` grows with the `j`-th byte of `b`; both count from one.
    #[inline]
    fn grows(&self, i: usize, j: usize) -> bool {
        let word = self.rows[(i - 1) * self.words + (j - 1) / 64];
        word >> ((j - 1) % 64) & 1 == 0
    }

    /// The length for both whole strings.
    fn len(&self) -> usize {
        let last = self.rows.len().saturating_sub(self.words);
        // Bits behind the end of `b` stay 1: nothing grows there.
        let grown = self.rows[last..].iter().map(|w| w.count_zeros() as usize);
        grown.sum()
    }

    /// The subsequence, and the substrings it consists of, last one first.
    fn walk(&self, a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<Match>) {
        let (mut i, mut j) = (a.len(), b.len());
        let mut text = Vec::with_capacity(self.len());
        let mut matches = Vec::new();
        let mut run = 0;
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                text.push(a[i - 1]);
                i -= 1;
                j -= 1;
                run += 1;
                if i > 0 && j > 0 {
                    continue;
                }
            }
            if run > 0 {
                matches.push(Match {
                    a: i,
                    b: j,
                    len: run,
                });
                run = 0;
            }
            if i > 0 && j > 0 {
                // Not by the byte of `b` alone, which differs: then without it there is less.
                if self.grows(i, j) {
                    i -= 1;
                } else {
                    j -= 1;
                }
            }
        }
        text.reverse();
        (text, matches)
    }
}

/// `LCS key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]`.
pub(crate) fn lcs_command(server: &mut Server, cid: ClientId, args: &Args) {
    let db = server.client_db(cid);
    let found_a = server.lookup_key(db, &args[1], Lookup::READ).is_some();
    let b = server.lookup_key(db, &args[2], Lookup::READ);
    // The second look-up may have deleted a key, and with it the place of the first one.
    let a = match found_a {
        true => server.find_key(db, &args[1]),
        false => None,
    };
    let is_string =
        |at: Option<At>| at.is_none_or(|at| at.entry(&server.dbs).value_type() == Type::String);
    if !is_string(a) || !is_string(b) {
        return server.add_reply_error(cid, "The specified keys must contain string values");
    }
    let Some(options) = parse_options(server, cid, args) else {
        return;
    };
    if options.len && options.idx {
        return server.add_reply_error(
            cid,
            "If you want both the length and indexes, please just use IDX.",
        );
    }
    let dbs = &server.dbs;
    let (mut text_a, mut text_b) = ([0; LONG_STR_SIZE], [0; LONG_STR_SIZE]);
    let a = a.map_or(&b""[..], |at| string_bytes(at.entry(dbs), &mut text_a));
    let b = b.map_or(&b""[..], |at| string_bytes(at.entry(dbs), &mut text_b));
    if a.len().max(b.len()) >= u32::MAX as usize - 1 {
        return server.add_reply_error(cid, "String too long for LCS");
    }
    let bytes = (a.len() as u128 + 1) * (b.len() as u128 + 1) * size_of::<u32>() as u128;
    if bytes > server.config.proto_max_bulk_len.max(0) as u128 {
        return server.add_reply_error(
            cid,
            "Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        );
    }
    const NO_MEMORY: &str = "Insufficient memory, failed allocating transient memory for LCS";
    if options.len {
        return match LcsTable::build(a, b, false) {
            Some(table) => server.add_reply_long_long(cid, table.len() as i64),
            None => server.add_reply_error(cid, NO_MEMORY),
        };
    }
    let Some(table) = LcsTable::build(a, b, true) else {
        return server.add_reply_error(cid, NO_MEMORY);
    };
    let (text, matches) = table.walk(a, b);
    if options.idx {
        reply_matches(server, cid, &options, &matches, text.len());
    } else {
        server.add_reply_bulk(cid, &text);
    }
}

/// The options, or an error to the client.
fn parse_options(server: &mut Server, cid: ClientId, args: &Args) -> Option<Options> {
    let mut o = Options::default();
    let mut i = 3;
    while i < args.len() {
        if args.is(i, "idx") {
            o.idx = true;
        } else if args.is(i, "len") {
            o.len = true;
        } else if args.is(i, "withmatchlen") {
            o.with_match_len = true;
        } else if args.is(i, "minmatchlen") && i + 1 < args.len() {
            i += 1;
            let n = server.get_long_long_or_reply(cid, args, i)?;
            o.min_match_len = n.max(0) as u64;
        } else {
            server.add_reply_syntax_error(cid);
            return None;
        }
        i += 1;
    }
    Some(o)
}

/// The answer of IDX: a map of the matches and the length.
fn reply_matches(
    server: &mut Server,
    cid: ClientId,
    options: &Options,
    matches: &[Match],
    len: usize,
) {
    let shown = || {
        matches
            .iter()
            .filter(|m| m.len as u64 >= options.min_match_len)
    };
    server.add_reply_map_len(cid, 2);
    server.add_reply_bulk(cid, b"matches");
    server.add_reply_array_len(cid, shown().count());
    for m in shown() {
        server.add_reply_array_len(cid, if options.with_match_len { 3 } else { 2 });
        for start in [m.a, m.b] {
            server.add_reply_array_len(cid, 2);
            server.add_reply_long_long(cid, start as i64);
            server.add_reply_long_long(cid, (start + m.len - 1) as i64);
        }
        if options.with_match_len {
            server.add_reply_long_long(cid, m.len as i64);
        }
    }
    server.add_reply_bulk(cid, b"len");
    server.add_reply_long_long(cid, len as i64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lcs(a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<Match>) {
        let table = LcsTable::build(a, b, true).expect("a table");
        assert_eq!(
            LcsTable::build(a, b, false).expect("a row").len(),
            table.len()
        );
        table.walk(a, b)
    }

    #[test]
    fn the_documented_example() {
        let (text, matches) = lcs(b"ohmytext", b"mynewtext");
        assert_eq!(text, b"mytext");
        let want = [Match { a: 4, b: 5, len: 4 }, Match { a: 2, b: 0, len: 2 }];
        assert_eq!(matches, want);
    }

    /// The plain table of lengths, walked as upstream walks it.
    fn reference(a: &[u8], b: &[u8]) -> Vec<u8> {
        let mut cells = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                cells[i][j] = if a[i - 1] == b[j - 1] {
                    cells[i - 1][j - 1] + 1
                } else {
                    cells[i - 1][j].max(cells[i][j - 1])
                };
            }
        }
        let (mut i, mut j) = (a.len(), b.len());
        let mut text = Vec::new();
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                text.push(a[i - 1]);
                (i, j) = (i - 1, j - 1);
            } else if cells[i - 1][j] > cells[i][j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        text.reverse();
        text
    }

    proptest! {
        #[test]
        fn matches_make_up_the_common_subsequence_that_upstream_finds(
            a in proptest::collection::vec(b'a'..b'e', 0..200),
            b in proptest::collection::vec(b'b'..b'f', 0..200))
        {
            let (text, matches) = lcs(&a, &b);
            prop_assert_eq!(&text, &reference(&a, &b));
            let mut joined = Vec::new();
            for m in matches.iter().rev() {
                prop_assert_eq!(&a[m.a..m.a + m.len], &b[m.b..m.b + m.len]);
                joined.extend_from_slice(&a[m.a..m.a + m.len]);
            }
            prop_assert_eq!(joined, text);
        }
    }
}
