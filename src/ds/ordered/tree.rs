//! A counted B+tree of members in the order of score, then bytes.
//!
//! ```text
//! inner node: children, each with the number of members below it and a copy of its first member's place in the order
//! leaf:       scores in one array, the members' addresses in another, both sorted
//! ```
//!
//! Most comparisons end at the scores, which lie side by side; a member's bytes are looked at only where scores are equal.
//! The numbers of members make an index in the order (a rank) and a place in the tree each other's equal: every range is
//! found as a pair of ranks.
//!
//! Invariants: all leaves are equally deep; a child's count is the number of members below it and never 0; its place is
//! that of its first member, but for a node's first child, whose place means nothing; only the root may have no members. A
//! node fills up at the ends of the tree before it is split, so what is added in order lies densely.
//!
//! It refers to members and owns none: who adds a member promises that it outlives its place here, so all that is here lives.

use super::scored::Ref;
use crate::base::alloc::size_class;

/// Members of a leaf: with its header, 1,024 bytes.
pub(super) const LEAF_MAX: usize = 63;
/// Children of an inner node: 1,280 bytes.
const INNER_MAX: usize = 26;

/// Two neighbours are joined when the sum leaves an eighth of a node free.
const fn joined_max(max: usize) -> usize {
    max - max / 8
}

pub(super) struct Leaf {
    len: usize,
    scores: [f64; LEAF_MAX],
    members: [Ref; LEAF_MAX],
}

/// Where a member stands in the order. The member lives.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) score: f64,
    pub(super) member: Ref,
}

struct Child {
    count: usize,
    first: Place,
    node: Node,
}

enum Node {
    Leaf(Box<Leaf>),
    Inner(Vec<Child>),
}

/// The members that a removal took out of a leaf.
pub(super) struct Taken {
    pub(super) members: [Ref; LEAF_MAX],
    pub(super) len: usize,
    /// The first member of the node that was just left has changed, and the place that says so is further up.
    first_changed: bool,
}

/// How a removal finds its leaf, and what it takes there.
trait Locate {
    fn child(&mut self, children: &[Child]) -> usize;
    fn range(&self, leaf: &Leaf) -> std::ops::Range<usize>;
}

/// One member.
struct ByPlace(Place);

/// So many members from an index on, as far as they are in one leaf.
struct ByRank {
    start: usize,
    count: usize,
}

/// The first index at which `before` does not hold; it holds for a beginning of `0..len`.
#[inline]
fn partition_point(len: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut size) = (0, len);
    while size > 0 {
        let half = size / 2;
        if before(low + half) {
            low += half + 1;
            size -= half + 1;
        } else {
            size = half;
        }
    }
    low
}

impl Place {
    #[inline]
    fn text(&self) -> &[u8] {
        // SAFETY: it lives (see the type).
        unsafe { self.member.text() }
    }

    /// Whether the member (`score`, `text`) comes after this one.
    #[inline]
    fn is_before(&self, score: f64, text: &[u8]) -> bool {
        self.score < score || (self.score == score && self.text() < text)
    }
}

impl Leaf {
    fn empty() -> Box<Leaf> {
        Box::new(Leaf {
            len: 0,
            scores: [0.0; LEAF_MAX],
            members: [Ref::NONE; LEAF_MAX],
        })
    }

    #[inline]
    fn place(&self, i: usize) -> Place {
        Place {
            score: self.scores[i],
            member: self.members[i],
        }
    }

    #[inline]
    pub(super) fn scores(&self) -> &[f64] {
        &self.scores[..self.len]
    }

    #[inline]
    pub(super) fn members(&self) -> &[Ref] {
        &self.members[..self.len]
    }

    /// The bytes of the `i`-th member.
    #[inline]
    pub(super) fn text(&self, i: usize) -> &[u8] {
        // SAFETY: what is in the tree lives.
        unsafe { self.members()[i].text() }
    }

    /// How many members come before (`score`, `text`).
    #[inline]
    fn lower_bound(&self, score: f64, text: &[u8]) -> usize {
        let scores = self.scores();
        let from = scores.partition_point(|s| *s < score);
        if scores.get(from) != Some(&score) {
            return from;
        }
        let equal = partition_point(scores.len() - from, |i| scores[from + i] == score);
        from + partition_point(equal, |i| self.text(from + i) < text)
    }

    #[inline]
    fn insert(&mut self, at: usize, p: Place) {
        self.scores.copy_within(at..self.len, at + 1);
        self.members.copy_within(at..self.len, at + 1);
        self.scores[at] = p.score;
        self.members[at] = p.member;
        self.len += 1;
    }

    fn remove(&mut self, range: std::ops::Range<usize>) {
        self.scores.copy_within(range.end..self.len, range.start);
        self.members.copy_within(range.end..self.len, range.start);
        self.len -= range.len();
    }

    /// Moves the members from `at` on to the end of `to`.
    fn move_tail(&mut self, at: usize, to: &mut Leaf) {
        let n = self.len - at;
        to.scores[to.len..to.len + n].copy_from_slice(&self.scores[at..self.len]);
        to.members[to.len..to.len + n].copy_from_slice(&self.members[at..self.len]);
        to.len += n;
        self.len = at;
    }

    /// Moves the last `n` members to the beginning of `to`.
    fn move_last(&mut self, n: usize, to: &mut Leaf) {
        let from = self.len - n;
        to.scores.copy_within(..to.len, n);
        to.members.copy_within(..to.len, n);
        to.scores[..n].copy_from_slice(&self.scores[from..self.len]);
        to.members[..n].copy_from_slice(&self.members[from..self.len]);
        to.len += n;
        self.len = from;
    }

    /// Moves the first `n` members to the end of `to`.
    fn move_first(&mut self, n: usize, to: &mut Leaf) {
        to.scores[to.len..to.len + n].copy_from_slice(&self.scores[..n]);
        to.members[to.len..to.len + n].copy_from_slice(&self.members[..n]);
        to.len += n;
        self.remove(0..n);
    }
}

/// The child below which (`score`, `text`) is, or would be.
#[inline]
fn child_of(children: &[Child], score: f64, text: &[u8]) -> usize {
    // A member that is equal to a child's first is below that child.
    children[1..].partition_point(|c| {
        c.first.score < score || (c.first.score == score && c.first.text() <= text)
    })
}

fn count_of(children: &[Child]) -> usize {
    children.iter().map(|c| c.count).sum()
}

impl Node {
    /// The first member's place; of a node that has members.
    fn first(&self) -> Place {
        let mut node = self;
        loop {
            match node {
                Node::Leaf(leaf) => return leaf.place(0),
                Node::Inner(children) => node = &children[0].node,
            }
        }
    }

    /// How full it is, of [`Node::max`].
    fn fill(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.len,
            Node::Inner(children) => children.len(),
        }
    }

    fn max(&self) -> usize {
        match self {
            Node::Leaf(_) => LEAF_MAX,
            Node::Inner(_) => INNER_MAX,
        }
    }

    /// Adds a member; when the node had to be split, returns its new neighbour to the right. `at_start`, `at_end`: the node
    /// is the first or the last of its level.
    fn insert(&mut self, p: Place, at_start: bool, at_end: bool) -> Option<Child> {
        match self {
            Node::Leaf(leaf) => {
                let at = leaf.lower_bound(p.score, p.text());
                if leaf.len < LEAF_MAX {
                    leaf.insert(at, p);
                    return None;
                }
                Some(split_leaf(leaf, at, p, at_start, at_end))
            }
            Node::Inner(children) => {
                let i = child_of(children, p.score, p.text());
                let (first, last) = (i == 0, i + 1 == children.len());
                let new = children[i]
                    .node
                    .insert(p, at_start && first, at_end && last);
                children[i].count += 1;
                let new = new?;
                children[i].count -= new.count;
                insert_child(children, i + 1, new, at_end)
            }
        }
    }

    /// Takes members out of one leaf; returns how many. May leave the node without any.
    fn remove(&mut self, locate: &mut impl Locate, taken: &mut Taken) -> usize {
        match self {
            Node::Leaf(leaf) => {
                let range = locate.range(leaf);
                let n = range.len();
                taken.members[..n].copy_from_slice(&leaf.members[range.clone()]);
                taken.len = n;
                taken.first_changed = range.start == 0;
                leaf.remove(range);
                n
            }
            Node::Inner(children) => {
                let i = locate.child(children);
                let n = children[i].node.remove(locate, taken);
                children[i].count -= n;
                if children[i].count == 0 {
                    children.remove(i);
                    taken.first_changed = i == 0;
                    return n;
                }
                if taken.first_changed && i > 0 {
                    children[i].first = children[i].node.first();
                    taken.first_changed = false;
                }
                if children[i].node.fill() < children[i].node.max() / 2 {
                    rebalance(children, i);
                }
                n
            }
        }
    }

    /// Gives a member another score where it stands; false when it would not stay there or it is at an edge of its leaf.
    fn set_score_in_place(&mut self, p: Place, score: f64) -> bool {
        let text = p.text();
        let mut node = self;
        loop {
            match node {
                Node::Inner(children) => {
                    let i = child_of(children, p.score, text);
                    node = &mut children[i].node;
                }
                Node::Leaf(leaf) => {
                    let at = leaf.lower_bound(p.score, text);
                    if at == 0 || at + 1 >= leaf.len || leaf.members[at] != p.member {
                        return false;
                    }
                    let fits = leaf.place(at - 1).is_before(score, text)
                        && !leaf.place(at + 1).is_before(score, text);
                    if fits {
                        leaf.scores[at] = score;
                    }
                    return fits;
                }
            }
        }
    }
}

/// Splits a full leaf and adds a member, which belongs at `at`; returns the new right one. At the ends of the tree the leaf
/// stays full.
fn split_leaf(leaf: &mut Leaf, at: usize, p: Place, at_start: bool, at_end: bool) -> Child {
    let mut right = Leaf::empty();
    let split = match at {
        LEAF_MAX if at_end => LEAF_MAX,
        0 if at_start => 0,
        _ => LEAF_MAX / 2,
    };
    leaf.move_tail(split, &mut right);
    if at <= split && split < LEAF_MAX {
        leaf.insert(at, p);
    } else {
        right.insert(at - split, p);
    }
    Child {
        count: right.len,
        first: right.place(0),
        node: Node::Leaf(right),
    }
}

/// Adds a child at `at`, which is never 0; returns the new right neighbour if the node had to be split.
fn insert_child(children: &mut Vec<Child>, at: usize, new: Child, at_end: bool) -> Option<Child> {
    if children.len() < INNER_MAX {
        children.insert(at, new);
        return None;
    }
    let split = if at_end && at == INNER_MAX {
        INNER_MAX
    } else {
        INNER_MAX / 2
    };
    let mut right = Vec::with_capacity(INNER_MAX);
    right.extend(children.drain(split..));
    if at <= split && split < INNER_MAX {
        children.insert(at, new);
    } else {
        right.insert(at - split, new);
    }
    Some(Child {
        count: count_of(&right),
        // Set while it was no first child.
        first: right[0].first,
        node: Node::Inner(right),
    })
}

/// The child at `i` has become less than half full: joins it with a neighbour, or takes from one.
fn rebalance(children: &mut Vec<Child>, i: usize) {
    if children.len() < 2 {
        return;
    }
    let right = i.max(1);
    let left = right - 1;
    let max = children[i].node.max();
    let sum = children[left].node.fill() + children[right].node.fill();
    if sum <= joined_max(max) {
        let r = children.remove(right);
        let l = &mut children[left];
        l.count += r.count;
        match (&mut l.node, r.node) {
            (Node::Leaf(l), Node::Leaf(mut r)) => r.move_tail(0, l),
            (Node::Inner(l), Node::Inner(mut inner)) => {
                inner[0].first = r.first;
                l.append(&mut inner);
            }
            _ => unreachable!("neighbours are of one level"),
        }
    } else if children[i].node.fill() < max / 4 {
        let (head, tail) = children.split_at_mut(right);
        let (l, r) = (&mut head[left], &mut tail[0]);
        let half = sum / 2;
        match (&mut l.node, &mut r.node) {
            (Node::Leaf(a), Node::Leaf(b)) => {
                if a.len > half {
                    a.move_last(a.len - half, b);
                } else {
                    b.move_first(half - a.len, a);
                }
                (l.count, r.count) = (a.len, b.len);
                r.first = b.place(0);
            }
            (Node::Inner(a), Node::Inner(b)) => {
                b[0].first = r.first;
                if a.len() > half {
                    b.splice(0..0, a.drain(half..));
                } else {
                    a.extend(b.drain(..half - a.len()));
                }
                (l.count, r.count) = (count_of(a), count_of(b));
                r.first = b[0].first;
            }
            _ => unreachable!("neighbours are of one level"),
        }
    }
}

impl Locate for ByPlace {
    #[inline]
    fn child(&mut self, children: &[Child]) -> usize {
        child_of(children, self.0.score, self.0.text())
    }

    #[inline]
    fn range(&self, leaf: &Leaf) -> std::ops::Range<usize> {
        let at = leaf.lower_bound(self.0.score, self.0.text());
        let found = leaf.members().get(at) == Some(&self.0.member);
        at..at + usize::from(found)
    }
}

impl Locate for ByRank {
    #[inline]
    fn child(&mut self, children: &[Child]) -> usize {
        let mut i = 0;
        while self.start >= children[i].count {
            self.start -= children[i].count;
            i += 1;
        }
        i
    }

    #[inline]
    fn range(&self, leaf: &Leaf) -> std::ops::Range<usize> {
        self.start..leaf.len.min(self.start + self.count)
    }
}

pub(super) struct Tree {
    root: Node,
    len: usize,
}

impl Tree {
    pub(super) fn new() -> Tree {
        Tree {
            root: Node::Leaf(Leaf::empty()),
            len: 0,
        }
    }

    /// A tree of members that are in order already: as dense as if they had been added one by one.
    pub(super) fn from_sorted(members: &[Place]) -> Tree {
        let leaf_of = |part: &[Place]| {
            let mut leaf = Leaf::empty();
            leaf.len = part.len();
            for (i, p) in part.iter().enumerate() {
                leaf.scores[i] = p.score;
                leaf.members[i] = p.member;
            }
            Child {
                count: part.len(),
                first: part[0],
                node: Node::Leaf(leaf),
            }
        };
        let mut level: Vec<Child> = members.chunks(LEAF_MAX).map(leaf_of).collect();
        while level.len() > 1 {
            let mut rest = level.into_iter();
            let mut above = Vec::new();
            while rest.len() > 0 {
                let mut children = Vec::with_capacity(INNER_MAX);
                children.extend(rest.by_ref().take(INNER_MAX));
                above.push(Child {
                    count: count_of(&children),
                    first: children[0].first,
                    node: Node::Inner(children),
                });
            }
            level = above;
        }
        let root = level
            .pop()
            .map_or_else(|| Node::Leaf(Leaf::empty()), |only| only.node);
        Tree {
            root,
            len: members.len(),
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a member that is not there.
    ///
    /// # Safety
    /// It lives until it has been taken out again, or the tree is dropped; its bytes do not change.
    #[inline]
    pub(super) unsafe fn insert(&mut self, score: f64, member: Ref) {
        self.len += 1;
        if self.insert_into_leaf(Place { score, member }) {
            return;
        }
        if let Some(right) = self.root.insert(Place { score, member }, true, true) {
            let root = std::mem::replace(&mut self.root, Node::Inner(Vec::new()));
            let left = Child {
                count: self.len - right.count,
                first: root.first(),
                node: root,
            };
            let mut children = Vec::with_capacity(INNER_MAX);
            children.push(left);
            children.push(right);
            self.root = Node::Inner(children);
        }
    }

    /// Adds a member if its leaf has room; nothing is changed if it has not.
    #[inline]
    fn insert_into_leaf(&mut self, p: Place) -> bool {
        let text = p.text();
        let mut node = &mut self.root;
        loop {
            match node {
                Node::Inner(children) => {
                    let i = child_of(children, p.score, text);
                    let child = &mut children[i];
                    child.count += 1;
                    node = &mut child.node;
                }
                Node::Leaf(leaf) if leaf.len < LEAF_MAX => {
                    let at = leaf.lower_bound(p.score, text);
                    leaf.insert(at, p);
                    return true;
                }
                Node::Leaf(_) => break,
            }
        }
        // It was counted too soon.
        let mut node = &mut self.root;
        while let Node::Inner(children) = node {
            let i = child_of(children, p.score, text);
            let child = &mut children[i];
            child.count -= 1;
            node = &mut child.node;
        }
        false
    }

    fn remove_located(&mut self, mut locate: impl Locate) -> Taken {
        let mut taken = Taken {
            members: [Ref::NONE; LEAF_MAX],
            len: 0,
            first_changed: false,
        };
        self.len -= self.root.remove(&mut locate, &mut taken);
        while let Node::Inner(children) = &mut self.root {
            if children.len() > 1 {
                break;
            }
            self.root = match children.pop() {
                Some(only) => only.node,
                None => Node::Leaf(Leaf::empty()),
            };
        }
        taken
    }

    /// Takes a member out; false when it is not there under this score.
    ///
    /// # Safety
    /// It lives.
    pub(super) unsafe fn remove(&mut self, score: f64, member: Ref) -> bool {
        self.remove_located(ByPlace(Place { score, member })).len == 1
    }

    /// Takes out up to `count` members from the `start`-th on, as many as one leaf has of them. `start` is within the tree.
    pub(super) fn remove_some(&mut self, start: usize, count: usize) -> Taken {
        self.remove_located(ByRank { start, count })
    }

    /// Moves a member from one score to another. Its text is what counts, not the score that it has itself.
    ///
    /// # Safety
    /// As for [`Tree::insert`].
    #[inline]
    pub(super) unsafe fn set_score(&mut self, member: Ref, old: f64, new: f64) {
        let p = Place { score: old, member };
        if self.root.set_score_in_place(p, new) {
            return;
        }
        // SAFETY: by the caller's word.
        unsafe {
            if self.remove(old, member) {
                self.insert(new, member);
            }
        }
    }

    /// How many members come before the one with this score and text.
    #[inline]
    pub(super) fn rank(&self, score: f64, text: &[u8]) -> usize {
        let mut rank = 0;
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => return rank + leaf.lower_bound(score, text),
                Node::Inner(children) => {
                    let i = child_of(children, score, text);
                    rank += count_of(&children[..i]);
                    node = &children[i].node;
                }
            }
        }
    }

    /// How many members `before` holds for; it holds for a beginning of the order.
    pub(super) fn partition_point(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        let mut rank = 0;
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let at = |i: usize| {
                        let place = leaf.place(i);
                        before(place.score, place.text())
                    };
                    return rank + partition_point(leaf.len, at);
                }
                Node::Inner(children) => {
                    let i = partition_point(children.len() - 1, |i| {
                        let first = &children[i + 1].first;
                        before(first.score, first.text())
                    });
                    rank += count_of(&children[..i]);
                    node = &children[i].node;
                }
            }
        }
    }

    /// The leaf with the `rank`-th member, and the member's index in it; the last leaf's end when there are fewer.
    #[inline]
    pub(super) fn leaf_at(&self, rank: usize) -> (&Leaf, usize) {
        let mut left = rank;
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => return (leaf, left.min(leaf.len)),
                Node::Inner(children) => {
                    let (last, others) = children.split_last().expect("an inner node has children");
                    let mut child = last;
                    for c in others {
                        if left < c.count {
                            child = c;
                            break;
                        }
                        left -= c.count;
                    }
                    node = &child.node;
                }
            }
        }
    }

    /// Bytes of all nodes, by the allocator's size classes.
    pub(super) fn mem_usage(&self) -> usize {
        fn sum(node: &Node) -> usize {
            match node {
                Node::Leaf(_) => size_class(size_of::<Leaf>()),
                Node::Inner(children) => {
                    let own = size_class(children.capacity() * size_of::<Child>());
                    own + children.iter().map(|c| sum(&c.node)).sum::<usize>()
                }
            }
        }
        sum(&self.root)
    }

    /// Panics unless the invariants hold.
    #[cfg(test)]
    pub(super) fn check(&self) {
        fn check(node: &Node, first: Option<Place>, depth: usize, leaf_depth: &mut usize) -> usize {
            if let Some(f) = first {
                let real = node.first();
                assert!(f.score.to_bits() == real.score.to_bits() && f.member == real.member);
            }
            match node {
                Node::Leaf(leaf) => {
                    assert!(*leaf_depth == 0 || *leaf_depth == depth);
                    *leaf_depth = depth;
                    leaf.len
                }
                Node::Inner(children) => {
                    assert!(!children.is_empty() && children.len() <= INNER_MAX);
                    for (i, c) in children.iter().enumerate() {
                        let first = (i > 0).then_some(c.first);
                        assert_eq!(check(&c.node, first, depth + 1, leaf_depth), c.count);
                        assert!(c.count > 0);
                    }
                    count_of(children)
                }
            }
        }
        assert_eq!(check(&self.root, None, 1, &mut 0), self.len);
    }
}

const _: () = assert!(size_of::<Leaf>() <= 1024 && INNER_MAX * size_of::<Child>() <= 1280);
