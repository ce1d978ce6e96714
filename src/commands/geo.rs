//! Geo commands (geo.c): places on the earth as members of a sorted set, whose scores are their geohashes.
//!
//! A search asks the sorted set for the scores of the few cells that cover the shape (`base::geohash`) and looks at every
//! member in them. GEOADD is ZADD with the scores worked out, and is propagated as that.
//!
//! Absent: the sorted set itself ([`super::sorted_set`] and `store::zset`).

use std::ops::Range;

use crate::base::geohash::{
    Around, Point, Shape, decode_score, encode_score, geohash_calculate_areas,
    geohash_get_distance, geohash_string, is_valid,
};
use crate::base::num::{LONG_STR_SIZE, push_fixed4, string2d, ull2string};
use crate::server::Server;
use crate::server::clients::client::Clients;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::{Args, OwnedArgs};
use crate::server::keyspace::lookup::{At, Lookup};
use crate::server::keyspace::notify::NOTIFY_ZSET;
use crate::store::entry::NewValue;
use crate::store::entry::value::Value;
use crate::store::zset::Zset;

/// The forms of a search.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// GEORADIUS, which may store, or GEORADIUS_RO.
    RadiusOfPoint { may_store: bool },
    /// GEORADIUSBYMEMBER, which may store, or GEORADIUSBYMEMBER_RO.
    RadiusOfMember { may_store: bool },
    /// GEOSEARCH.
    Search,
    /// GEOSEARCHSTORE.
    SearchStore,
}

impl Form {
    fn is_search(self) -> bool {
        matches!(self, Form::Search | Form::SearchStore)
    }

    /// Whether the options STORE and STOREDIST name a key.
    fn takes_store(self) -> bool {
        matches!(
            self,
            Form::RadiusOfPoint { may_store: true } | Form::RadiusOfMember { may_store: true }
        )
    }
}

/// The middle of a search, by how it was given.
#[derive(Clone, Copy)]
enum Center {
    /// FROMMEMBER; without a sorted set a member is nowhere.
    Member(Option<Point>),
    /// FROMLONLAT.
    LonLat(Point),
}

impl Center {
    fn place(self) -> Option<Point> {
        match self {
            Center::Member(place) => place,
            Center::LonLat(place) => Some(place),
        }
    }
}

/// What a search asks for.
#[derive(Default)]
struct Query {
    center: Option<Center>,
    shape: Option<Shape>,
    /// Metres of the unit.
    unit: f64,
    with_dist: bool,
    with_hash: bool,
    with_coord: bool,
    /// The order by distance: `Some(true)` is descending.
    descending: Option<bool>,
    /// 0: all.
    count: usize,
    any: bool,
    /// Which argument is the key to store at.
    store: Option<usize>,
    store_dist: bool,
}

/// A member that was found; its name is a part of [`Found::names`].
struct GeoPoint {
    place: Point,
    /// Metres.
    distance: f64,
    score: f64,
    name: Range<usize>,
}

#[derive(Default)]
struct Found {
    points: Vec<GeoPoint>,
    names: Vec<u8>,
}

/// A number in a reply, as `%.17Lf` without trailing zeros (addReplyHumanLongDouble).
fn add_reply_human_double(clients: &mut Clients, cid: ClientId, d: f64) {
    use crate::base::long_double::{LongDouble, ld2string};
    let mut text = Vec::with_capacity(24);
    ld2string(&mut text, LongDouble::from(d));
    if clients.resp_version(cid) == 2 {
        clients.add_reply_bulk(cid, &text);
    } else {
        clients.add_reply_proto(cid, &[b",", &text[..], b"\r\n"].concat());
    }
}

/// Longitude and latitude as an array of two.
fn add_reply_point(clients: &mut Clients, cid: ClientId, p: Point) {
    clients.add_reply_array_len(cid, 2);
    add_reply_human_double(clients, cid, p.longitude);
    add_reply_human_double(clients, cid, p.latitude);
}

/// A distance, with four decimals (addReplyDoubleDistance).
fn add_reply_distance(clients: &mut Clients, cid: ClientId, d: f64) {
    let mut text = Vec::with_capacity(24);
    push_fixed4(&mut text, d);
    clients.add_reply_bulk(cid, &text);
}

impl Server {
    /// The double in argument `i`, or an error to the client.
    fn geo_double_or_reply(
        &mut self,
        cid: ClientId,
        args: &Args,
        i: usize,
        error: &str,
    ) -> Option<f64> {
        let d = string2d(&args[i]);
        if d.is_none() {
            self.add_reply_error(cid, error);
        }
        d
    }

    /// The point in two arguments, longitude first, or an error to the client (extractLongLatOrReply).
    fn extract_long_lat_or_reply(&mut self, cid: ClientId, args: &Args, i: usize) -> Option<Point> {
        const ERROR: &str = "value is not a valid float";
        let p = Point {
            longitude: self.geo_double_or_reply(cid, args, i, ERROR)?,
            latitude: self.geo_double_or_reply(cid, args, i + 1, ERROR)?,
        };
        if is_valid(p) {
            return Some(p);
        }
        let (x, y) = (p.longitude, p.latitude);
        let text = format!("invalid longitude,latitude pair {x:.6},{y:.6}");
        self.add_reply_error(cid, &text);
        None
    }

    /// Metres of the unit in an argument, or an error to the client (extractUnitOrReply).
    fn extract_unit_or_reply(&mut self, cid: ClientId, unit: &[u8]) -> Option<f64> {
        for (name, metres) in [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)] {
            if unit.eq_ignore_ascii_case(name.as_bytes()) {
                return Some(metres);
            }
        }
        let text = "unsupported unit provided. please use M, KM, FT, MI";
        self.add_reply_error(cid, text);
        None
    }

    /// The circle in two arguments and its unit in metres, or an error to the client (extractDistanceOrReply).
    fn extract_distance_or_reply(
        &mut self,
        cid: ClientId,
        args: &Args,
        i: usize,
    ) -> Option<(Shape, f64)> {
        let radius = self.geo_double_or_reply(cid, args, i, "need numeric radius")?;
        if radius < 0.0 {
            self.add_reply_error(cid, "radius cannot be negative");
            return None;
        }
        let unit = self.extract_unit_or_reply(cid, &args[i + 1])?;
        Some((Shape::Circle(radius * unit), unit))
    }

    /// The box in three arguments and its unit in metres, or an error to the client (extractBoxOrReply).
    fn extract_box_or_reply(
        &mut self,
        cid: ClientId,
        args: &Args,
        i: usize,
    ) -> Option<(Shape, f64)> {
        let width = self.geo_double_or_reply(cid, args, i, "need numeric width")?;
        let height = self.geo_double_or_reply(cid, args, i + 1, "need numeric height")?;
        if width < 0.0 || height < 0.0 {
            self.add_reply_error(cid, "height or width cannot be negative");
            return None;
        }
        let unit = self.extract_unit_or_reply(cid, &args[i + 2])?;
        Some((Shape::Box(width * unit, height * unit), unit))
    }

    /// Where a member of the sorted set is, or an error to the client.
    fn long_lat_from_member_or_reply(
        &mut self,
        cid: ClientId,
        at: At,
        member: &[u8],
    ) -> Option<Point> {
        let score = at
            .entry(&self.dbs)
            .value::<Zset>()
            .and_then(|z| z.score(member));
        if score.is_none() {
            self.add_reply_error(cid, "could not decode requested zset member");
        }
        score.map(decode_score)
    }

    /// The arguments of a search from `first` on, or an error to the client. `at` is where the sorted set is.
    fn parse_geo_query(
        &mut self,
        cid: ClientId,
        args: &Args,
        first: usize,
        form: Form,
        at: Option<At>,
        mut q: Query,
    ) -> Option<Query> {
        let mut i = first;
        while i < args.len() {
            let following = args.len() - i - 1;
            let is = |word: &str| args.is(i, word);
            if is("withdist") {
                q.with_dist = true;
            } else if is("withhash") {
                q.with_hash = true;
            } else if is("withcoord") {
                q.with_coord = true;
            } else if is("any") {
                q.any = true;
            } else if is("asc") {
                q.descending = Some(false);
            } else if is("desc") {
                q.descending = Some(true);
            } else if is("count") && following >= 1 {
                let n = self.get_long_long_or_reply(cid, args, i + 1)?;
                if n <= 0 {
                    self.add_reply_error(cid, "COUNT must be > 0");
                    return None;
                }
                q.count = usize::try_from(n).unwrap_or(usize::MAX);
                i += 1;
            } else if (is("store") || is("storedist")) && following >= 1 && form.takes_store() {
                q.store = Some(i + 1);
                q.store_dist = is("storedist");
                i += 1;
            } else if is("storedist") && form == Form::SearchStore {
                q.store_dist = true;
            } else if is("frommember")
                && following >= 1
                && form.is_search()
                && !matches!(q.center, Some(Center::LonLat(_)))
            {
                let place = match at {
                    Some(at) => Some(self.long_lat_from_member_or_reply(cid, at, &args[i + 1])?),
                    None => None,
                };
                q.center = Some(Center::Member(place));
                i += 1;
            } else if is("fromlonlat")
                && following >= 2
                && form.is_search()
                && !matches!(q.center, Some(Center::Member(_)))
            {
                let place = self.extract_long_lat_or_reply(cid, args, i + 1)?;
                q.center = Some(Center::LonLat(place));
                i += 2;
            } else if is("byradius")
                && following >= 2
                && form.is_search()
                && !matches!(q.shape, Some(Shape::Box(..)))
            {
                let (shape, unit) = self.extract_distance_or_reply(cid, args, i + 1)?;
                (q.shape, q.unit) = (Some(shape), unit);
                i += 2;
            } else if is("bybox")
                && following >= 3
                && form.is_search()
                && !matches!(q.shape, Some(Shape::Circle(_)))
            {
                let (shape, unit) = self.extract_box_or_reply(cid, args, i + 1)?;
                (q.shape, q.unit) = (Some(shape), unit);
                i += 3;
            } else {
                self.add_reply_syntax_error(cid);
                return None;
            }
            i += 1;
        }
        Some(q)
    }

    /// False, and an error to the client, when options do not go together.
    fn check_geo_query(&mut self, cid: ClientId, args: &Args, form: Form, q: &Query) -> bool {
        let name = String::from_utf8_lossy(&args[0]);
        let error = if q.store.is_some() && (q.with_dist || q.with_hash || q.with_coord) {
            let what = match form {
                Form::SearchStore => "GEOSEARCHSTORE",
                _ => "STORE option in GEORADIUS",
            };
            format!("{what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
        } else if form.is_search() && q.center.is_none() {
            format!("exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}")
        } else if form.is_search() && q.shape.is_none() {
            format!("exactly one of BYRADIUS and BYBOX can be specified for {name}")
        } else if q.any && q.count == 0 {
            "the ANY argument requires COUNT argument".into()
        } else {
            return true;
        };
        self.add_reply_error(cid, &error);
        false
    }
}

/// The members within the shape, in the order in which they are met; at most `limit` when that is not 0
/// (membersOfAllNeighbors).
fn members_of_all_neighbors(zset: &Zset, center: Point, shape: Shape, limit: usize) -> Found {
    let mut found = Found::default();
    let around = Around::new(center, shape);
    let full = |found: &Found| limit != 0 && found.points.len() >= limit;
    // The cells of a large shape can be the same, one after another.
    let mut last = None;
    for (i, cell) in geohash_calculate_areas(center, shape).enumerate() {
        if i > 0 && last == Some(cell) {
            continue;
        }
        if full(&found) {
            break;
        }
        let (first, end) = cell.scores();
        zset.for_each_in_score_range(first as f64, end as f64, |name, score| {
            let place = decode_score(score);
            if let Some(distance) = around.distance_if_within(place) {
                let start = found.names.len();
                found.names.extend_from_slice(name);
                found.points.push(GeoPoint {
                    place,
                    distance,
                    score,
                    name: start..found.names.len(),
                });
            }
            !full(&found)
        });
        last = (i > 0).then_some(cell);
    }
    found
}

impl Found {
    /// Puts the points in order by distance, and keeps `count` of them when that is not 0.
    fn sort(&mut self, descending: Option<bool>, count: usize) {
        let keep = match count {
            0 => self.points.len(),
            n => n.min(self.points.len()),
        };
        if let Some(descending) = descending {
            let order = |a: &GeoPoint, b: &GeoPoint| {
                let by_distance = a.distance.total_cmp(&b.distance);
                let by_distance = match descending {
                    true => by_distance.reverse(),
                    false => by_distance,
                };
                // Equally far ones stay in the order in which they were met.
                by_distance.then(a.name.start.cmp(&b.name.start))
            };
            if keep < self.points.len() && keep > 0 {
                self.points.select_nth_unstable_by(keep - 1, order);
                self.points.truncate(keep);
            }
            self.points.sort_unstable_by(order);
        }
        self.points.truncate(keep);
    }
}

/// GEORADIUS and GEOSEARCH with their kin (georadiusGeneric).
fn georadius_generic(server: &mut Server, cid: ClientId, args: &Args, form: Form) {
    let source = if form == Form::SearchStore { 2 } else { 1 };
    let Ok(at) = server.lookup_typed::<Zset>(cid, &args[source], Lookup::READ) else {
        return;
    };
    let mut q = Query {
        unit: 1.0,
        ..Query::default()
    };
    let first = match form {
        Form::RadiusOfPoint { .. } => {
            let Some(center) = server.extract_long_lat_or_reply(cid, args, 2) else {
                return;
            };
            q.center = Some(Center::LonLat(center));
            6
        }
        Form::RadiusOfMember { .. } => {
            if let Some(at) = at {
                let Some(place) = server.long_lat_from_member_or_reply(cid, at, &args[2]) else {
                    return;
                };
                q.center = Some(Center::Member(Some(place)));
            }
            5
        }
        Form::Search => 2,
        Form::SearchStore => {
            q.store = Some(1);
            3
        }
    };
    // Without a sorted set, GEORADIUSBYMEMBER does not look at its radius.
    let has_radius = match form {
        Form::RadiusOfPoint { .. } => true,
        Form::RadiusOfMember { .. } => at.is_some(),
        _ => false,
    };
    if has_radius {
        let Some((shape, unit)) = server.extract_distance_or_reply(cid, args, first - 2) else {
            return;
        };
        (q.shape, q.unit) = (Some(shape), unit);
    }
    let Some(q) = server.parse_geo_query(cid, args, first, form, at, q) else {
        return;
    };
    if !server.check_geo_query(cid, args, form, &q) {
        return;
    }
    let mut found = Found::default();
    if let (Some(at), Some(center), Some(shape)) = (at, q.center.and_then(Center::place), q.shape) {
        let limit = if q.any { q.count } else { 0 };
        if let Some(zset) = at.entry(&server.dbs).value::<Zset>() {
            found = members_of_all_neighbors(&zset, center, shape, limit);
        }
        // The nearest ones are asked for, unless any will do.
        let nearest = q.count != 0 && !q.any;
        let order = q.descending.or(nearest.then_some(false));
        found.sort(order, q.count);
    }
    match q.store {
        Some(key) => store_found(server, cid, &args[key], &q, form, &found),
        None => reply_found(&mut server.clients, cid, &q, &found),
    }
}

/// Sends what was found.
fn reply_found(clients: &mut Clients, cid: ClientId, q: &Query, found: &Found) {
    let extras = [q.with_dist, q.with_hash, q.with_coord]
        .iter()
        .filter(|w| **w)
        .count();
    clients.add_reply_array_len(cid, found.points.len());
    if !q.with_hash && !q.with_coord {
        let mut text = Vec::with_capacity(24);
        return clients.write_bulks(cid, |w| {
            for p in &found.points {
                let name = &found.names[p.name.clone()];
                if !q.with_dist {
                    w.bulk(name);
                    continue;
                }
                w.array_len(2);
                w.bulk(name);
                text.clear();
                push_fixed4(&mut text, p.distance / q.unit);
                w.bulk(&text);
            }
        });
    }
    for p in &found.points {
        if extras > 0 {
            clients.add_reply_array_len(cid, extras + 1);
        }
        clients.add_reply_bulk(cid, &found.names[p.name.clone()]);
        if q.with_dist {
            add_reply_distance(clients, cid, p.distance / q.unit);
        }
        if q.with_hash {
            clients.add_reply_long_long(cid, p.score as i64);
        }
        if q.with_coord {
            add_reply_point(clients, cid, p.place);
        }
    }
}

/// Stores what was found as a sorted set, with the distances as scores when asked for; nothing found deletes the key.
fn store_found(
    server: &mut Server,
    cid: ClientId,
    key: &[u8],
    q: &Query,
    form: Form,
    found: &Found,
) {
    let n = found.points.len();
    let result = (n > 0).then(|| {
        let members = found.points.iter().map(|p| {
            let score = match q.store_dist {
                true => p.distance / q.unit,
                false => p.score,
            };
            (&found.names[p.name.clone()], score)
        });
        let zset = Zset::from_members(members, &server.config);
        NewValue::Value(Value::Zset(zset))
    });
    let event = match form.is_search() {
        true => "geosearchstore",
        false => "georadiusstore",
    };
    server.store_result(cid, key, result, (NOTIFY_ZSET, event), n);
    server.add_reply_long_long(cid, n as i64);
}

/// `GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]`
pub(crate) fn geoadd_command(server: &mut Server, cid: ClientId, args: &Args) {
    let (mut nx, mut xx) = (false, false);
    let mut first = 2;
    while first < args.len() {
        match () {
            _ if args.is(first, "nx") => nx = true,
            _ if args.is(first, "xx") => xx = true,
            _ if args.is(first, "ch") => {}
            _ => break,
        }
        first += 1;
    }
    if !(args.len() - first).is_multiple_of(3) || (nx && xx) {
        return server.add_reply_syntax_error(cid);
    }
    let mut words = OwnedArgs::default();
    words.push(b"zadd");
    for i in 1..first {
        words.push(&args[i]);
    }
    for i in (first..args.len()).step_by(3) {
        let Some(p) = server.extract_long_lat_or_reply(cid, args, i) else {
            return;
        };
        words.push(ull2string(&mut [0; LONG_STR_SIZE], encode_score(p)));
        match args.big(i + 2) {
            Some(member) => words.push_big(member.clone()),
            None => words.push(&args[i + 2]),
        }
    }
    super::sorted_set::zadd_command(server, cid, &words.as_args());
    if server.propagation_wanted() && !server.exec.call.is_rewritten() {
        server.exec.call.rewrite_as(words);
    }
}

/// `GEORADIUS key longitude latitude radius unit [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]`
/// [STORE key | STOREDIST key]
pub(crate) fn georadius_command(server: &mut Server, cid: ClientId, args: &Args) {
    georadius_generic(server, cid, args, Form::RadiusOfPoint { may_store: true });
}

/// GEORADIUS_RO: GEORADIUS that cannot store.
pub(crate) fn georadiusro_command(server: &mut Server, cid: ClientId, args: &Args) {
    georadius_generic(server, cid, args, Form::RadiusOfPoint { may_store: false });
}

/// GEORADIUSBYMEMBER key member radius unit ...
pub(crate) fn georadiusbymember_command(server: &mut Server, cid: ClientId, args: &Args) {
    georadius_generic(server, cid, args, Form::RadiusOfMember { may_store: true });
}

/// GEORADIUSBYMEMBER_RO: GEORADIUSBYMEMBER that cannot store.
pub(crate) fn georadiusbymemberro_command(server: &mut Server, cid: ClientId, args: &Args) {
    georadius_generic(server, cid, args, Form::RadiusOfMember { may_store: false });
}

/// `GEOSEARCH key FROMMEMBER member | FROMLONLAT longitude latitude BYRADIUS radius unit | BYBOX width height unit
/// [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]`
pub(crate) fn geosearch_command(server: &mut Server, cid: ClientId, args: &Args) {
    georadius_generic(server, cid, args, Form::Search);
}

/// `GEOSEARCHSTORE destination source ... [STOREDIST]`
pub(crate) fn geosearchstore_command(server: &mut Server, cid: ClientId, args: &Args) {
    georadius_generic(server, cid, args, Form::SearchStore);
}

/// Sends something for the score of each member from argument 2 on, in an array; a missing key has no members.
fn for_each_member(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
    reply: fn(&mut Clients, ClientId, Option<f64>),
) {
    let Ok(at) = server.lookup_typed::<Zset>(cid, &args[1], Lookup::READ) else {
        return;
    };
    let Server { clients, dbs, .. } = server;
    let zset = at.and_then(|s| s.entry(dbs).value::<Zset>());
    clients.add_reply_array_len(cid, args.len() - 2);
    for i in 2..args.len() {
        let score = zset.as_ref().and_then(|z| z.score(&args[i]));
        reply(clients, cid, score);
    }
}

/// `GEOHASH key [member [member ...]]`
pub(crate) fn geohash_command(server: &mut Server, cid: ClientId, args: &Args) {
    for_each_member(server, cid, args, |clients, cid, score| match score {
        Some(score) => clients.add_reply_bulk(cid, &geohash_string(score)),
        None => clients.add_reply_null(cid),
    });
}

/// `GEOPOS key [member [member ...]]`
pub(crate) fn geopos_command(server: &mut Server, cid: ClientId, args: &Args) {
    for_each_member(server, cid, args, |clients, cid, score| match score {
        Some(score) => add_reply_point(clients, cid, decode_score(score)),
        None => clients.add_reply_null_array(cid),
    });
}

/// `GEODIST key member1 member2 [unit]`
pub(crate) fn geodist_command(server: &mut Server, cid: ClientId, args: &Args) {
    let mut unit = 1.0;
    match args.len() {
        4 => {}
        5 => match server.extract_unit_or_reply(cid, &args[4]) {
            Some(metres) => unit = metres,
            None => return,
        },
        _ => return server.add_reply_syntax_error(cid),
    }
    let Ok(at) = server.lookup_typed::<Zset>(cid, &args[1], Lookup::READ) else {
        return;
    };
    let zset = at.and_then(|s| s.entry(&server.dbs).value::<Zset>());
    let scores = zset.and_then(|z| Some((z.score(&args[2])?, z.score(&args[3])?)));
    let Some((a, b)) = scores else {
        return server.add_reply_null(cid);
    };
    let distance = geohash_get_distance(decode_score(a), decode_score(b));
    add_reply_distance(&mut server.clients, cid, distance / unit);
}
