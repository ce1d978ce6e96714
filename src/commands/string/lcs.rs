//! LCS: the longest common subsequence of two strings (lcsCommand of t_string.c).
//!
//! The plain dynamic programme over a table of (a+1) x (b+1) lengths, which proto-max-bulk-len bounds. The ties are broken
//! as upstream breaks them, so that the matches of IDX are the same ones. When only the length is asked for, two rows do.

use crate::base::num::LONG_STR_SIZE;
use crate::server::Server;
use crate::server::client::ClientId;
use crate::server::exec::Args;
use crate::server::lookup::{At, Lookup};
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

/// The lengths of the longest common subsequences of all prefixes.
struct LcsTable {
    cells: Vec<u32>,
    width: usize,
}

impl LcsTable {
    /// Fills the table; `None` when there is no memory for it. The caller has bounded both lengths below 2^32 - 1.
    fn build(a: &[u8], b: &[u8]) -> Option<LcsTable> {
        let width = b.len() + 1;
        let size = width.checked_mul(a.len() + 1)?;
        let mut cells: Vec<u32> = Vec::new();
        cells.try_reserve_exact(size).ok()?;
        cells.resize(size, 0);
        for (i, ca) in a.iter().enumerate() {
            let (above, below) = cells[i * width..].split_at_mut(width);
            fill_row(&above[..width], &mut below[..width], *ca, b);
        }
        Some(LcsTable { cells, width })
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }

    /// The subsequence, and the substrings it consists of, last one first.
    fn walk(&self, a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<Match>) {
        let (mut i, mut j) = (a.len(), b.len());
        let mut text = Vec::with_capacity(self.at(i, j) as usize);
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
                if self.at(i - 1, j) > self.at(i, j - 1) {
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

/// One row of the table from the one above it.
#[inline]
fn fill_row(above: &[u32], below: &mut [u32], ca: u8, b: &[u8]) {
    let mut left = 0;
    below[0] = 0;
    for (j, cb) in b.iter().enumerate() {
        left = if ca == *cb {
            above[j] + 1
        } else {
            above[j + 1].max(left)
        };
        below[j + 1] = left;
    }
}

/// The length alone.
fn lcs_len(a: &[u8], b: &[u8]) -> Option<u32> {
    let width = b.len() + 1;
    let mut rows: [Vec<u32>; 2] = [Vec::new(), Vec::new()];
    for r in &mut rows {
        r.try_reserve_exact(width).ok()?;
        r.resize(width, 0);
    }
    let [above, below] = &mut rows;
    for ca in a {
        fill_row(above, below, *ca, b);
        std::mem::swap(above, below);
    }
    above.last().copied()
}

/// LCS key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN].
pub fn lcs_command(server: &mut Server, cid: ClientId, args: &Args) {
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
        return match lcs_len(a, b) {
            Some(n) => server.add_reply_long_long(cid, i64::from(n)),
            None => server.add_reply_error(cid, NO_MEMORY),
        };
    }
    let Some(table) = LcsTable::build(a, b) else {
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

    #[test]
    fn the_documented_example() {
        let (a, b) = (b"ohmytext", b"mynewtext");
        let table = LcsTable::build(a, b);
        let Some((text, matches)) = table.map(|t| t.walk(a, b)) else {
            panic!("no table");
        };
        assert_eq!(text, b"mytext");
        let want = [Match { a: 4, b: 5, len: 4 }, Match { a: 2, b: 0, len: 2 }];
        assert_eq!(matches, want);
        assert_eq!(lcs_len(a, b), Some(6));
    }

    fn is_subsequence(s: &[u8], of: &[u8]) -> bool {
        let mut rest = of.iter();
        s.iter().all(|c| rest.any(|d| d == c))
    }

    proptest! {
        #[test]
        fn matches_make_up_a_common_subsequence_of_that_length(
            a in proptest::collection::vec(b'a'..b'd', 0..40),
            b in proptest::collection::vec(b'a'..b'd', 0..40))
        {
            let table = LcsTable::build(&a, &b);
            let (text, matches) = table.map(|t| t.walk(&a, &b)).unwrap_or_default();
            prop_assert_eq!(lcs_len(&a, &b), Some(text.len() as u32));
            prop_assert!(is_subsequence(&text, &a) && is_subsequence(&text, &b));
            let mut joined = Vec::new();
            for m in matches.iter().rev() {
                prop_assert_eq!(&a[m.a..m.a + m.len], &b[m.b..m.b + m.len]);
                joined.extend_from_slice(&a[m.a..m.a + m.len]);
            }
            prop_assert_eq!(joined, text);
        }
    }
}
