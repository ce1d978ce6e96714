//! The quicklist: a long list as a row of nodes, each a small listpack, a compressed listpack, or one large element.
//!
//! How full a node gets is `fill` (list-max-listpack-size): that many elements when positive, else bytes, -1 to -5 for 4 to
//! 64 KB. `compress` (list-compress-depth) nodes at either end stay as they are, those between are kept compressed when that
//! saves something; 0 turns it off. An element of `large` bytes or more, which callers name with each change, gets a node of
//! its own that is no listpack.
//!
//! Elements that are popped off the head stay in their listpack for a while, before the position that the node's `start`
//! gives: a pop would else move all of the others, some kilobytes. They go when they make up half of the listpack, or when
//! something else is done to it.
//!
//! Invariants: only the first node has a `start`; no node is empty; `count` is the sum of the nodes' counts; the first and last `compress` nodes are not
//! compressed. Between calls every node is in the state in which it is to stay: readers decompress into a copy of their own,
//! writers compress again what they touched.
//!
//! The nodes lie in a ring buffer, not in a linked list: a node costs 24 bytes, a seek runs over contiguous counts, and what
//! takes nodes out of the middle does so for all of them at once.
//!
//! It knows nothing of keys, nor of when a list is short enough to be one listpack.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::base::alloc::good_size;
use crate::base::lzf::{lzf_compress, lzf_decompress};
use crate::ds::listpack::{self, Listpack, LpPos, LpValue, Needle};
use crate::ds::sbuf::SBuf;

/// Elements from this many bytes on are large, unless DEBUG QUICKLIST-PACKED-THRESHOLD says otherwise.
pub(crate) const PACKED_THRESHOLD: usize = 1 << 30;

/// The most that PACKED_THRESHOLD may be replaced by: a listpack's length is 32 bits.
pub(crate) const PACKED_THRESHOLD_MAX: usize = (1 << 32) - (1 << 20);

/// Bytes of a node that is limited by its number of elements (SIZE_SAFETY_LIMIT).
const SIZE_SAFETY_LIMIT: usize = 8192;
/// What an element takes in a listpack besides its bytes, about (SIZE_ESTIMATE_OVERHEAD).
const ELEMENT_OVERHEAD: usize = 8;
/// Smaller listpacks are not compressed.
const MIN_COMPRESS_BYTES: usize = 48;
/// Compression that saves no more than this is not worth it.
const MIN_COMPRESS_IMPROVE: usize = 8;

/// An end of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Head,
    Tail,
}

/// Bytes and elements that a node may have (quicklistNodeLimit); one of them is `usize::MAX`, no limit.
#[inline]
pub(crate) fn node_limit(fill: i32) -> (usize, usize) {
    match fill {
        0.. => (usize::MAX, fill.max(1) as usize),
        _ => (4096 << (-1 - fill.max(-5)), usize::MAX),
    }
}

/// Whether a node of so many bytes and elements would be too big (quicklistNodeExceedsLimit).
#[inline]
pub(crate) fn node_exceeds_limit(fill: i32, bytes: usize, count: usize) -> bool {
    let (max_bytes, max_count) = node_limit(fill);
    if max_bytes != usize::MAX {
        bytes > max_bytes
    } else {
        bytes > SIZE_SAFETY_LIMIT || count > max_count
    }
}

/// A compressed listpack.
struct Lzf {
    /// Its length before, in bytes.
    raw_len: usize,
    data: Box<[u8]>,
}

impl Lzf {
    fn unpack(&self) -> Listpack {
        let raw = lzf_decompress(&self.data, self.raw_len).expect("compressed here, or checked");
        Listpack::from_validated(&raw)
    }
}

enum Body {
    Packed(Listpack),
    Lzf(Box<Lzf>),
    Plain(SBuf),
}

struct Node {
    body: Body,
    /// Elements, popped ones not counted.
    count: u32,
    /// Where the first element is: behind those that were popped. `FIRST` in all but a listpack at the head.
    start: LpPos,
}

/// A node as files hold it.
pub(crate) enum NodeRef<'a> {
    /// A listpack's bytes.
    Packed(Cow<'a, [u8]>),
    /// A listpack's bytes, compressed, and their number before.
    Lzf { data: &'a [u8], raw_len: usize },
    /// One element.
    Plain(&'a [u8]),
}

/// An element, when it is read: a large one can be shared.
#[derive(Clone, Copy)]
pub(crate) enum QlValue<'a> {
    Packed(LpValue<'a>),
    Plain(&'a SBuf),
}

impl<'a> QlValue<'a> {
    /// The element, however it is stored.
    #[inline]
    pub(crate) fn value(self) -> LpValue<'a> {
        match self {
            QlValue::Packed(v) => v,
            QlValue::Plain(b) => LpValue::Str(b.as_slice()),
        }
    }
}

/// A node, when it is read.
pub(crate) enum Span<'a> {
    /// The elements of `lp` from `from` to one end; `first` is the first of all.
    Packed {
        lp: &'a Listpack,
        first: LpPos,
        from: LpPos,
    },
    Plain(&'a SBuf),
}

impl Span<'_> {
    /// Gives `f` the elements, towards the last, or with `backward` towards the first, until it answers false; true when it
    /// never did.
    #[inline]
    pub(crate) fn for_each(self, backward: bool, mut f: impl FnMut(QlValue<'_>) -> bool) -> bool {
        match self {
            Span::Plain(b) => f(QlValue::Plain(b)),
            Span::Packed { lp, from, .. } if !backward => {
                lp.iter_from(from).all(|v| f(QlValue::Packed(v)))
            }
            Span::Packed { lp, first, from } => {
                let mut p = Some(from);
                while let Some(here) = p {
                    if !f(QlValue::Packed(lp.get(here))) {
                        return false;
                    }
                    p = lp.prev(here).filter(|_| here != first);
                }
                true
            }
        }
    }
}

impl Node {
    fn packed(s: &[u8]) -> Node {
        let mut lp = Listpack::new();
        lp.append(s);
        Node {
            body: Body::Packed(lp),
            count: 1,
            start: LpPos::FIRST,
        }
    }

    fn plain(s: &[u8]) -> Node {
        Node {
            body: Body::Plain(SBuf::from_slice(s)),
            count: 1,
            start: LpPos::FIRST,
        }
    }

    fn is_plain(&self) -> bool {
        matches!(self.body, Body::Plain(_))
    }

    /// Bytes of the listpack, uncompressed, or of the large element.
    fn size(&self) -> usize {
        match &self.body {
            Body::Packed(lp) => lp.total_bytes() - lp.bytes_before(self.start),
            Body::Lzf(z) => z.raw_len,
            Body::Plain(b) => b.len(),
        }
    }

    fn mem_usage(&self) -> usize {
        match &self.body {
            Body::Packed(lp) => lp.mem_usage(),
            Body::Lzf(z) => good_size(size_of::<Lzf>()) + good_size(z.data.len()),
            Body::Plain(b) => good_size(b.alloc_size()),
        }
    }

    /// How many popped elements the listpack still has.
    fn popped(&self) -> usize {
        match &self.body {
            Body::Packed(lp) if self.start != LpPos::FIRST => {
                lp.len().saturating_sub(self.count as usize)
            }
            _ => 0,
        }
    }

    /// Lets go of popped elements; `count` must be right.
    fn trim(&mut self) {
        if self.start != LpPos::FIRST {
            let popped = self.popped();
            if let Body::Packed(lp) = &mut self.body {
                lp.delete_before(self.start, popped);
            }
            self.start = LpPos::FIRST;
        }
    }

    /// Compresses it, if that is worth it (quicklistCompressNode).
    fn compress(&mut self) {
        self.trim();
        let Body::Packed(lp) = &self.body else { return };
        let raw_len = lp.total_bytes();
        if raw_len < MIN_COMPRESS_BYTES {
            return;
        }
        let mut out = Vec::with_capacity(raw_len);
        let max = raw_len - MIN_COMPRESS_IMPROVE - 1;
        if lzf_compress(lp.bytes(), &mut out, max).is_some() {
            self.body = Body::Lzf(Box::new(Lzf {
                raw_len,
                data: out.into_boxed_slice(),
            }));
        }
    }

    fn decompress(&mut self) {
        if let Body::Lzf(z) = &self.body {
            self.body = Body::Packed(z.unpack());
        }
    }

    /// The listpack, decompressed for good and without popped elements; `None` for a large element.
    fn listpack_mut(&mut self) -> Option<&mut Listpack> {
        self.trim();
        self.decompress();
        match &mut self.body {
            Body::Packed(lp) => Some(lp),
            Body::Lzf(_) | Body::Plain(_) => None,
        }
    }

    /// Gives `f` the listpack, decompressed for the time being, or the large element.
    fn view<R>(&self, f: impl FnOnce(Result<&Listpack, &SBuf>) -> R) -> R {
        match &self.body {
            Body::Packed(lp) => f(Ok(lp)),
            Body::Lzf(z) => f(Ok(&z.unpack())),
            Body::Plain(b) => f(Err(b)),
        }
    }

    fn deep_clone(&self) -> Node {
        let mut copy = self.copy();
        copy.trim();
        copy
    }

    fn copy(&self) -> Node {
        let body = match &self.body {
            Body::Packed(lp) => Body::Packed(lp.deep_clone()),
            Body::Lzf(z) => Body::Lzf(Box::new(Lzf {
                raw_len: z.raw_len,
                data: z.data.clone(),
            })),
            Body::Plain(b) => Body::Plain(SBuf::from_slice(b.as_slice())),
        };
        Node {
            body,
            count: self.count,
            start: self.start,
        }
    }
}

/// A long list.
pub(crate) struct Quicklist {
    nodes: VecDeque<Node>,
    count: usize,
    fill: i16,
    compress: u16,
}

impl Quicklist {
    /// An empty one; options out of range are brought into it (quicklistNew).
    pub(crate) fn new(fill: i32, compress: i32) -> Quicklist {
        Quicklist {
            nodes: VecDeque::new(),
            count: 0,
            fill: fill.clamp(-5, i32::from(i16::MAX)) as i16,
            compress: compress.clamp(0, i32::from(u16::MAX)) as u16,
        }
    }

    /// Elements.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn fill(&self) -> i32 {
        i32::from(self.fill)
    }

    pub(crate) fn compress_depth(&self) -> i32 {
        i32::from(self.compress)
    }

    /// Number of nodes.
    pub(crate) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes from head to tail, each with its number of elements.
    pub(crate) fn nodes(&self) -> impl ExactSizeIterator<Item = (NodeRef<'_>, usize)> {
        self.nodes_from(0)
    }

    /// The same from the `first` node on; that one is found at once.
    pub(crate) fn nodes_from(
        &self,
        first: usize,
    ) -> impl ExactSizeIterator<Item = (NodeRef<'_>, usize)> {
        let first = first.min(self.nodes.len());
        self.nodes.range(first..).map(|n| {
            let r = match &n.body {
                Body::Packed(_) if n.start != LpPos::FIRST => match n.deep_clone().body {
                    Body::Packed(lp) => NodeRef::Packed(Cow::Owned(lp.bytes().to_vec())),
                    Body::Lzf(_) | Body::Plain(_) => NodeRef::Plain(b""),
                },
                Body::Packed(lp) => NodeRef::Packed(Cow::Borrowed(lp.bytes())),
                Body::Lzf(z) => NodeRef::Lzf {
                    data: &z.data,
                    raw_len: z.raw_len,
                },
                Body::Plain(b) => NodeRef::Plain(b.as_slice()),
            };
            (r, n.count as usize)
        })
    }

    /// Bytes of its allocations.
    pub(crate) fn mem_usage(&self) -> usize {
        good_size(size_of::<Quicklist>())
            + good_size(self.nodes.capacity() * size_of::<Node>())
            + self.nodes.iter().map(Node::mem_usage).sum::<usize>()
    }

    /// Bytes of its nodes, uncompressed.
    pub(crate) fn raw_bytes(&self) -> usize {
        self.nodes.iter().map(Node::size).sum()
    }

    /// An own copy, node by node (quicklistDup).
    pub(crate) fn deep_clone(&self) -> Quicklist {
        Quicklist {
            nodes: self.nodes.iter().map(Node::deep_clone).collect(),
            ..*self
        }
    }

    /// Adds a node that is a whole listpack, unless that is empty (quicklistAppendListpack).
    pub(crate) fn append_listpack(&mut self, lp: Listpack) {
        let n = lp.len();
        if n == 0 {
            return;
        }
        self.count += n;
        self.nodes.push_back(Node {
            count: n as u32,
            body: Body::Packed(lp),
            start: LpPos::FIRST,
        });
        let old_tail = self.nodes.len().checked_sub(2);
        self.settle(old_tail);
    }

    /// Adds a node that is one large element (quicklistAppendPlainNode).
    pub(crate) fn append_plain_node(&mut self, s: &[u8]) {
        self.count += 1;
        self.nodes.push_back(Node::plain(s));
        let old_tail = self.nodes.len().checked_sub(2);
        self.settle(old_tail);
    }

    /// The listpack, when that is the only node and within these limits in bytes and elements; the quicklist is empty then.
    pub(crate) fn take_only_listpack(
        &mut self,
        max_bytes: usize,
        max_count: usize,
    ) -> Option<Listpack> {
        if self.nodes.len() != 1 || self.count > max_count {
            return None;
        }
        let node = &mut self.nodes[0];
        if node.is_plain() || node.size() > max_bytes {
            return None;
        }
        node.trim();
        node.decompress();
        self.count = 0;
        match self.nodes.pop_back()?.body {
            Body::Packed(lp) => Some(lp),
            Body::Lzf(_) | Body::Plain(_) => None,
        }
    }

    /// Brings compression in order after a change of the nodes: the ends are decompressed, the nodes just inside of them and
    /// the one at `touched` compressed.
    fn settle(&mut self, touched: Option<usize>) {
        let depth = usize::from(self.compress);
        if depth == 0 {
            return;
        }
        let n = self.nodes.len();
        let ends = depth.min(n);
        for i in 0..ends {
            self.nodes[i].decompress();
            self.nodes[n - 1 - i].decompress();
        }
        if n > 2 * depth {
            for i in [Some(depth), Some(n - 1 - depth), touched]
                .into_iter()
                .flatten()
            {
                if (depth..n - depth).contains(&i) {
                    self.nodes[i].compress();
                }
            }
        }
    }

    /// `settle` for the node at `i` when no node came or went.
    fn settle_node(&mut self, i: usize) {
        let depth = usize::from(self.compress);
        if depth > 0 && i >= depth && i + depth < self.nodes.len() {
            self.nodes[i].compress();
        }
    }

    fn insert_node(&mut self, at: usize, node: Node) {
        self.trim();
        self.nodes.insert(at, node);
        self.settle(Some(at));
    }

    /// Lets go of popped elements, before whatever may put another node first or look into the first one.
    fn trim(&mut self) {
        if let Some(n) = self.nodes.front_mut() {
            n.trim();
        }
    }

    fn remove_node(&mut self, at: usize) {
        if self.nodes.remove(at).is_some() {
            self.settle(None);
        }
    }

    /// Whether the node at `i` takes an element of `len` bytes (quicklistNodeAllowInsert).
    fn allows_insert(&self, i: usize, len: usize, large: usize) -> bool {
        self.nodes.get(i).is_some_and(|n| {
            let bytes = n
                .size()
                .saturating_add(len)
                .saturating_add(ELEMENT_OVERHEAD);
            !n.is_plain()
                && len < large
                && !node_exceeds_limit(self.fill(), bytes, n.count as usize + 1)
        })
    }

    /// Whether the nodes at `i` and `i + 1` may become one (quicklistNodeAllowMerge).
    fn allows_merge(&self, i: usize) -> bool {
        let (Some(a), Some(b)) = (self.nodes.get(i), self.nodes.get(i + 1)) else {
            return false;
        };
        if a.is_plain() || b.is_plain() {
            return false;
        }
        let bytes = a.size() + b.size() - listpack::EMPTY_BYTES;
        !node_exceeds_limit(self.fill(), bytes, (a.count + b.count) as usize)
    }

    /// Makes the nodes at `i` and `i + 1` one, at `i`, if they may be; true if so (quicklistListpackMerge).
    fn try_merge(&mut self, i: usize) -> bool {
        if !self.allows_merge(i) {
            return false;
        }
        let Some(mut b) = self.nodes.remove(i + 1) else {
            return false;
        };
        b.decompress();
        let a = &mut self.nodes[i];
        if let (Some(lp), Body::Packed(other)) = (a.listpack_mut(), b.body) {
            *lp = std::mem::take(lp).merge(other);
            a.count += b.count;
        }
        self.settle(Some(i));
        true
    }

    /// Merges what may be merged around the node at `center` (quicklistMergeNodes).
    fn merge_nodes(&mut self, mut center: usize) {
        if center >= 2 && self.try_merge(center - 2) {
            center -= 1;
        }
        self.try_merge(center + 1);
        if center >= 1 && self.try_merge(center - 1) {
            center -= 1;
        }
        self.try_merge(center);
    }

    /// Adds an element at an end (quicklistPush).
    pub(crate) fn push(&mut self, end: End, s: &[u8], large: usize) {
        let n = self.nodes.len();
        let i = match end {
            End::Head => 0,
            End::Tail => n.saturating_sub(1),
        };
        self.count += 1;
        if self.allows_insert(i, s.len(), large) {
            let node = &mut self.nodes[i];
            if end == End::Head {
                node.trim();
            }
            node.decompress();
            node.count += 1;
            if let Body::Packed(lp) = &mut node.body {
                match end {
                    End::Head => lp.prepend(s),
                    End::Tail => lp.append(s),
                }
            }
            return;
        }
        if end == End::Head {
            self.trim();
        }
        let node = if s.len() >= large {
            Node::plain(s)
        } else {
            Node::packed(s)
        };
        match end {
            End::Head => self.nodes.push_front(node),
            End::Tail => self.nodes.push_back(node),
        }
        self.settle(None);
    }

    /// Takes an element off an end and gives it to `f` (quicklistPopCustom).
    pub(crate) fn pop<R>(&mut self, end: End, f: impl FnOnce(QlValue<'_>) -> R) -> Option<R> {
        let i = match end {
            End::Head => 0,
            End::Tail => self.nodes.len().checked_sub(1)?,
        };
        let node = self.nodes.get_mut(i)?;
        node.decompress();
        let r = match &mut node.body {
            Body::Plain(b) => f(QlValue::Plain(b)),
            Body::Packed(lp) => match end {
                End::Head => {
                    let r = f(QlValue::Packed(lp.get(node.start)));
                    node.start = lp.end_of(node.start);
                    r
                }
                End::Tail => {
                    let p = lp.last()?;
                    let r = f(QlValue::Packed(lp.get(p)));
                    if node.count > 1 {
                        lp.delete(p);
                    }
                    r
                }
            },
            Body::Lzf(_) => return None,
        };
        node.count -= 1;
        let empty = node.count == 0;
        if let Body::Packed(lp) = &node.body
            && !empty
            && lp.bytes_before(node.start) > lp.total_bytes() / 2
        {
            node.trim();
        }
        self.count -= 1;
        if empty {
            self.remove_node(i);
        }
        Some(r)
    }

    /// The node that holds the element at `index`, and the element's index in there.
    fn locate(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.count {
            return None;
        }
        if index <= self.count / 2 {
            let mut rest = index;
            for (i, n) in self.nodes.iter().enumerate() {
                if rest < n.count as usize {
                    return Some((i, rest));
                }
                rest -= n.count as usize;
            }
        } else {
            let mut end = self.count;
            for (i, n) in self.nodes.iter().enumerate().rev() {
                end -= n.count as usize;
                if index >= end {
                    return Some((i, index - end));
                }
            }
        }
        None
    }

    /// Gives `f` the elements from `index` on, towards the tail, or with `backward` towards the head, until it answers false.
    pub(crate) fn for_each_from(
        &self,
        index: usize,
        backward: bool,
        mut f: impl FnMut(QlValue<'_>) -> bool,
    ) {
        self.spans_from(index, backward, |span| span.for_each(backward, &mut f));
    }

    /// The same, a node at a time.
    pub(crate) fn spans_from(
        &self,
        index: usize,
        backward: bool,
        mut f: impl FnMut(Span<'_>) -> bool,
    ) {
        let Some((mut at, first)) = self.locate(index) else {
            return;
        };
        let mut offset = Some(first);
        while let Some(node) = self.nodes.get(at) {
            let go_on = node.view(|v| match v {
                Err(b) => f(Span::Plain(b)),
                Ok(lp) => {
                    let from = match offset {
                        Some(i) => lp.seek((i + node.popped()) as i64),
                        None if backward => lp.last(),
                        None => Some(node.start),
                    };
                    let first = node.start;
                    from.is_none_or(|from| f(Span::Packed { lp, first, from }))
                }
            });
            if !go_on {
                return;
            }
            offset = None;
            if backward {
                match at.checked_sub(1) {
                    Some(i) => at = i,
                    None => return,
                }
            } else {
                at += 1;
            }
        }
    }

    /// Splits the listpack at node `i` so that elements from `offset` on go to a new node behind it. `offset` is neither
    /// the first element's nor past the last one's (quicklistSplitNode).
    fn split(&mut self, i: usize, offset: usize) {
        let node = &mut self.nodes[i];
        let count = node.count as usize;
        let Some(lp) = node.listpack_mut() else {
            return;
        };
        let mut tail = lp.deep_clone();
        tail.delete_range_with_index(0, offset);
        lp.delete_range_with_index(offset as i64, count - offset);
        node.count = offset as u32;
        // No settling: the caller changes both parts.
        self.nodes.insert(
            i + 1,
            Node {
                body: Body::Packed(tail),
                count: (count - offset) as u32,
                start: LpPos::FIRST,
            },
        );
    }

    /// Puts `s` before the first element that is `pivot`, or `after` it; false when there is none (quicklistInsertBefore,
    /// quicklistInsertAfter).
    pub(crate) fn insert_at_pivot(
        &mut self,
        pivot: &[u8],
        after: bool,
        s: &[u8],
        large: usize,
    ) -> bool {
        self.trim();
        let needle = Needle::new(pivot);
        for i in 0..self.nodes.len() {
            let found = self.nodes[i].view(|v| match v {
                Err(b) => (b.as_slice() == pivot).then_some((None, 0)),
                Ok(lp) => {
                    let mut offset = 0;
                    let mut p = lp.first();
                    while let Some(here) = p {
                        if needle.is(lp.get(here)) {
                            return Some((Some(here), offset));
                        }
                        offset += 1;
                        p = lp.next(here);
                    }
                    None
                }
            });
            if let Some((p, offset)) = found {
                self.insert(i, offset, p, after, s, large);
                return true;
            }
        }
        false
    }

    /// Puts `s` beside the element of node `i` at `offset` (quicklistInsert).
    fn insert(
        &mut self,
        i: usize,
        offset: usize,
        p: Option<LpPos>,
        after: bool,
        s: &[u8],
        large: usize,
    ) {
        self.count += 1;
        let at_edge = match after {
            true => offset + 1 == self.nodes[i].count as usize,
            false => offset == 0,
        };
        // Where a node that comes beside this one goes.
        let beside = i + usize::from(after);
        if s.len() >= large {
            if !at_edge {
                self.split(i, offset + usize::from(after));
                self.nodes.insert(i + 1, Node::plain(s));
                self.settle_node(i);
                self.settle_node(i + 2);
                self.settle(None);
            } else {
                self.insert_node(beside, Node::plain(s));
            }
            return;
        }
        if self.allows_insert(i, s.len(), large) {
            let node = &mut self.nodes[i];
            if let (Some(lp), Some(p)) = (node.listpack_mut(), p) {
                match after {
                    true => lp.insert_after(p, s),
                    false => lp.insert_before(p, s),
                };
                node.count += 1;
            }
            self.settle_node(i);
            return;
        }
        if at_edge {
            // The neighbour takes it at its near end, if it can.
            let neighbour = if after { Some(i + 1) } else { i.checked_sub(1) };
            if let Some(n) = neighbour
                && self.allows_insert(n, s.len(), large)
            {
                let node = &mut self.nodes[n];
                node.count += 1;
                if let Some(lp) = node.listpack_mut() {
                    match after {
                        true => lp.prepend(s),
                        false => lp.append(s),
                    }
                }
                self.settle_node(n);
            } else {
                self.insert_node(beside, Node::packed(s));
            }
            return;
        }
        self.split(i, offset + usize::from(after));
        // The new element goes to the part that does not hold its neighbour.
        let (to, keep) = if after { (i + 1, i) } else { (i, i + 1) };
        let node = &mut self.nodes[to];
        node.count += 1;
        if let Some(lp) = node.listpack_mut() {
            match after {
                true => lp.prepend(s),
                false => lp.append(s),
            }
        }
        self.settle_node(i);
        self.settle_node(i + 1);
        self.settle(None);
        self.merge_nodes(keep);
    }

    /// Puts `s` in place of the element at `index`; false when there is none (quicklistReplaceAtIndex).
    pub(crate) fn replace(&mut self, index: usize, s: &[u8], large: usize) -> bool {
        self.trim();
        let Some((mut i, offset)) = self.locate(index) else {
            return false;
        };
        let is_large = s.len() >= large;
        if self.nodes[i].is_plain() {
            if is_large {
                self.nodes[i] = Node::plain(s);
            } else {
                // As upstream: beside the old element, where its neighbours may take it; then that one goes.
                let before = self.nodes.len();
                self.insert(i, 0, None, true, s, large);
                debug_assert!(self.nodes.len() >= before);
                self.count -= 1;
                self.remove_node(i);
            }
            return true;
        }
        if !is_large && let Some(lp) = self.nodes[i].listpack_mut() {
            let most = lp.total_bytes() as u64 + listpack::element_bytes(s) as u64;
            if most <= u64::from(u32::MAX)
                && let Some(p) = lp.seek(offset as i64)
            {
                lp.replace(p, s);
                self.settle_node(i);
                return true;
            }
        }
        // It gets a node of its own between the two parts of this one.
        let count = self.nodes[i].count as usize;
        if offset + 1 < count {
            self.split(i, offset + 1);
        }
        let node = if is_large {
            Node::plain(s)
        } else {
            Node::packed(s)
        };
        self.nodes.insert(i + 1, node);
        if offset == 0 {
            self.nodes.remove(i);
        } else {
            let old = &mut self.nodes[i];
            old.count -= 1;
            if let Some(lp) = old.listpack_mut() {
                lp.delete_range_with_index(-1, 1);
            }
            i += 1;
        }
        for near in i.saturating_sub(1)..=i + 1 {
            self.settle_node(near);
        }
        self.settle(None);
        self.merge_nodes(i);
        true
    }

    /// Removes up to `n` elements from `index` on (quicklistDelRange).
    pub(crate) fn delete_range(&mut self, index: usize, n: usize) {
        self.trim();
        let Some((first, mut offset)) = self.locate(index) else {
            return;
        };
        let mut left = n.min(self.count - index);
        self.count -= left;
        let mut at = first;
        // Whole nodes are only counted, and go all at once.
        let mut gone = 0..0;
        while left > 0 && at < self.nodes.len() {
            let node = &mut self.nodes[at];
            let here = (node.count as usize - offset).min(left);
            left -= here;
            if here == node.count as usize {
                if gone.is_empty() {
                    gone.start = at;
                }
                gone.end = at + 1;
            } else {
                node.count -= here as u32;
                if let Some(lp) = node.listpack_mut() {
                    lp.delete_range_with_index(offset as i64, here);
                }
                self.settle_node(at);
            }
            offset = 0;
            at += 1;
        }
        if !gone.is_empty() {
            self.nodes.drain(gone);
            self.settle(None);
        }
    }

    /// Removes up to `max` elements that are `s`, the first ones from `from`; the answer is how many.
    pub(crate) fn remove(&mut self, s: &[u8], max: usize, from: End) -> usize {
        self.trim();
        let needle = Needle::new(s);
        let mut removed = 0;
        let mut emptied = false;
        let n = self.nodes.len();
        for step in 0..n {
            if removed == max {
                break;
            }
            let i = match from {
                End::Head => step,
                End::Tail => n - 1 - step,
            };
            let node = &mut self.nodes[i];
            let wanted = max - removed;
            let mut hits: Vec<LpPos> = Vec::new();
            let plain = node.view(|v| match v {
                Err(b) => b.as_slice() == s,
                Ok(lp) if from == End::Head => {
                    let mut p = lp.first();
                    while let Some(here) = p.and_then(|p| lp.find(p, s, 0)) {
                        hits.push(here);
                        if hits.len() == wanted {
                            break;
                        }
                        p = lp.next(here);
                    }
                    false
                }
                Ok(lp) => {
                    let mut p = lp.last();
                    while let Some(here) = p {
                        if needle.is(lp.get(here)) {
                            hits.push(here);
                            if hits.len() == wanted {
                                break;
                            }
                        }
                        p = lp.prev(here);
                    }
                    hits.reverse();
                    false
                }
            });
            if plain {
                node.count = 0;
                removed += 1;
            } else if !hits.is_empty() {
                if let Some(lp) = node.listpack_mut() {
                    lp.batch_delete(&hits);
                }
                node.count -= hits.len() as u32;
                removed += hits.len();
            } else {
                continue;
            }
            if node.count == 0 {
                emptied = true;
            } else {
                self.settle_node(i);
            }
        }
        self.count -= removed;
        if emptied {
            self.nodes.retain(|n| n.count > 0);
            self.settle(None);
        }
        removed
    }
}

#[cfg(test)]
#[path = "quicklist_tests.rs"]
mod tests;
