//! The table of commands and of argument kinds from which streams are drawn.
//!
//! A family is added by rows. A row's words are literal, except those in upper case with a leading `$`, which are drawn
//! by [`word`]. `A|B|C` draws one; a word in `[...]` may be left out; `$rest` repeats the draw before it.

use crate::support::Rng;

/// One command shape, and how often it is drawn relative to others.
pub struct Row {
    pub weight: u32,
    pub shape: &'static str,
}

const fn row(weight: u32, shape: &'static str) -> Row {
    Row { weight, shape }
}

/// Every shape. Keys are few, so that commands meet.
pub const ROWS: &[Row] = &[
    // Strings.
    row(10, "SET $key $value"),
    row(6, "SET $key $value [$setopt] [$setopt] [$setopt]"),
    row(4, "SET $key $value NX|XX|GET|KEEPTTL"),
    row(4, "SET $key $value EX|PX|EXAT|PXAT $time"),
    row(6, "GET $key"),
    row(3, "GETSET $key $value"),
    row(3, "GETDEL $key"),
    row(3, "GETEX $key"),
    row(3, "GETEX $key EX|PX|EXAT|PXAT $time"),
    row(2, "GETEX $key PERSIST|EX|NX [$int]"),
    row(3, "SETNX $key $value"),
    row(2, "SETEX $key $time $value"),
    row(2, "PSETEX $key $time $value"),
    row(3, "MSET $key $value $key $value $key $value"),
    row(2, "MSETNX $key $value $key $value"),
    row(1, "MSET $key $value $key"),
    row(1, "MSETNX $key $value $key"),
    row(3, "MGET $key $key $key"),
    row(4, "APPEND $key $value"),
    row(4, "SETRANGE $key $offset $value"),
    row(4, "GETRANGE $key $int $int"),
    row(2, "SUBSTR $key $int $int"),
    row(3, "STRLEN $key"),
    row(4, "INCR|DECR $key"),
    row(4, "INCRBY|DECRBY $key $int"),
    row(5, "INCRBYFLOAT $key $float"),
    row(2, "LCS $key $key"),
    row(2, "LCS $key $key LEN|IDX|WITHMATCHLEN|NOSUCH"),
    row(2, "LCS $key $key IDX MINMATCHLEN $int [WITHMATCHLEN]"),
    // Numbers, so that the arithmetic finds some.
    row(6, "SET $num $int"),
    row(4, "SET $num $float"),
    row(5, "INCRBY|DECRBY $num $int"),
    row(5, "INCRBYFLOAT $num $float"),
    row(3, "INCR|DECR $num"),
    row(2, "OBJECT ENCODING $num"),
    // Bits.
    row(4, "SETBIT $key $bit 0|1"),
    row(1, "SETBIT $key $bit $int"),
    row(3, "GETBIT $key $bit"),
    row(2, "BITCOUNT $key"),
    row(3, "BITCOUNT $key $int $int [BYTE|BIT|WHAT]"),
    row(2, "BITPOS $key 0|1"),
    row(3, "BITPOS $key 0|1 $int [$int] [BYTE|BIT]"),
    row(1, "BITPOS $key $int $int"),
    row(3, "BITOP AND|OR|XOR|NOT|WHAT $key $key [$key] [$key]"),
    row(
        5,
        "BITFIELD $key GET $bits $bitoff [SET] [$bits] [$bitoff] [$int]",
    ),
    row(
        5,
        "BITFIELD $key SET|INCRBY $bits $bitoff $int GET $bits $bitoff",
    ),
    row(
        3,
        "BITFIELD $key OVERFLOW WRAP|SAT|FAIL|WHAT INCRBY $bits $bitoff $int INCRBY $bits $bitoff $int",
    ),
    row(2, "BITFIELD_RO $key GET $bits $bitoff"),
    row(1, "BITFIELD_RO $key SET $bits $bitoff $int"),
    // SORT. Where equal ones may come in any order, as with ALPHA and BY of a set or with LIMIT, it is left out.
    row(4, "SORT|SORT_RO $list|$set [ASC|DESC] [ALPHA]"),
    row(2, "SORT|SORT_RO $list LIMIT $int $int [DESC] [ALPHA]"),
    row(2, "SORT|SORT_RO $set LIMIT $int $int [DESC]"),
    row(4, "SORT $list BY $sortby [DESC] [ALPHA]"),
    row(3, "SORT $set BY n*|k*|h*->f1|#*|no* [DESC]"),
    row(3, "SORT $list|$set BY n*|k* LIMIT $int $int [DESC]"),
    row(4, "SORT $list BY $sortby GET # GET $sortby [DESC] [ALPHA]"),
    row(3, "SORT|SORT_RO $list|$set GET $sortby GET $sortby [ALPHA]"),
    row(2, "SORT $list BY nosort LIMIT $int $int [DESC] [GET] [#]"),
    row(2, "SORT $set BY nosort STORE $list"),
    row(3, "SORT $list|$set [ALPHA] [DESC] STORE $list"),
    row(2, "SORT $list|$set GET $sortby GET # STORE $list"),
    row(
        1,
        "SORT|SORT_RO $key|$hash|$list STORE|BY|LIMIT|WHAT [$key]",
    ),
    // Geo.
    row(6, "GEOADD $geo $lon $lat $elem"),
    row(
        5,
        "GEOADD $geo $lon $lat $elem $lon $lat $elem $lon $lat $elem",
    ),
    row(3, "GEOADD $geo NX|XX|CH [CH] $lon $lat $elem"),
    row(1, "GEOADD $geo|$key $float $lat $elem [$lon]"),
    row(3, "GEODIST $geo $elem $elem [m|KM|ft|mi|WHAT]"),
    row(3, "GEOHASH|GEOPOS $geo $elem $elem [$elem]"),
    row(
        3,
        "GEORADIUS|GEORADIUS_RO $geo $lon $lat $radius m|km|ft|mi [WITHDIST] [WITHHASH] [WITHCOORD] [ASC|DESC]",
    ),
    row(
        2,
        "GEORADIUS $geo $lon $lat $radius km COUNT $int [ANY] [DESC]",
    ),
    row(
        2,
        "GEORADIUS|GEORADIUS_RO $geo $lon $lat $radius km STORE|STOREDIST $geo [COUNT] [2]",
    ),
    row(
        3,
        "GEORADIUSBYMEMBER|GEORADIUSBYMEMBER_RO $geo $elem $radius km|mi [WITHDIST] [ASC|DESC] [WITHCOORD]",
    ),
    row(
        2,
        "GEORADIUSBYMEMBER $geo $elem $radius km [COUNT] [3] STORE|STOREDIST $geo",
    ),
    row(
        4,
        "GEOSEARCH $geo FROMLONLAT $lon $lat BYRADIUS $radius m|km [ASC|DESC] [WITHDIST] [WITHCOORD] [WITHHASH]",
    ),
    row(
        4,
        "GEOSEARCH $geo FROMMEMBER $elem BYBOX $radius $radius km|mi [ASC|DESC] [WITHDIST] [WITHHASH]",
    ),
    row(
        2,
        "GEOSEARCH $geo BYBOX $radius $radius km COUNT $int [ANY] FROMLONLAT $lon $lat",
    ),
    row(
        2,
        "GEOSEARCHSTORE $geo $geo FROMMEMBER $elem BYRADIUS $radius km [STOREDIST]",
    ),
    row(
        2,
        "GEOSEARCHSTORE $geo $geo FROMLONLAT $lon $lat BYBOX $radius $radius km [WITHDIST]",
    ),
    row(
        1,
        "GEOSEARCH $geo BYBOX|BYRADIUS|FROMMEMBER|FROMLONLAT $int $int [FROMMEMBER] [$elem] [ANY]",
    ),
    row(2, "ZRANGE $geo 0 -1 WITHSCORES"),
    row(1, "ZREM $geo $elem"),
    row(1, "ZADD $geo $float $elem"),
    // HyperLogLogs, undamaged: of several elements the reference adds some to a damaged value before it finds the damage.
    row(8, "PFADD $hll $value [$value] [$value] [$int]"),
    row(2, "PFADD $hll"),
    row(4, "PFCOUNT $hll"),
    row(2, "PFCOUNT $hll $hll [$hll] [$key]"),
    row(3, "PFMERGE $hll [$hll] [$hll]"),
    row(1, "PFADD|PFCOUNT|PFMERGE $key $value"),
    row(2, "PFDEBUG ENCODING|DECODE|TODENSE|GETREG|WHAT $hll"),
    row(2, "GET $hll"),
    row(1, "STRLEN $hll"),
    row(1, "CONFIG SET hll-sparse-max-bytes 0|20|40|100|3000"),
    // Lists.
    row(8, "LPUSH|RPUSH $list $value [$value] [$value] [$elem]"),
    row(8, "LPUSH|RPUSH $list $elem $elem [$elem] [$elem] [$value]"),
    row(3, "LPUSHX|RPUSHX $list $elem [$value]"),
    row(5, "LPOP|RPOP $list [$int]"),
    row(3, "LLEN $list"),
    row(4, "LINDEX $list $int"),
    row(4, "LSET $list $int $value|$elem"),
    row(6, "LRANGE $list $int $int"),
    row(2, "LTRIM $list $int $int"),
    row(4, "LREM $list $int $elem"),
    row(5, "LINSERT $list BEFORE|AFTER|WHAT $elem $value|$elem"),
    row(3, "LPOS $list $elem"),
    row(
        4,
        "LPOS $list $elem [RANK|COUNT|MAXLEN] [$int] [RANK|COUNT|MAXLEN|WHAT] [$int]",
    ),
    row(4, "LMOVE $list $list LEFT|RIGHT|WHAT LEFT|RIGHT"),
    row(3, "RPOPLPUSH $list $list"),
    row(3, "LMPOP 1|2 $list [$list] LEFT|RIGHT [COUNT] [$int]"),
    row(1, "LMPOP $int $list LEFT|RIGHT"),
    // A negative time-out: they would wait otherwise.
    row(1, "BLPOP|BRPOP $list $list -1|abc"),
    row(1, "BLMOVE $list $list LEFT|WHAT RIGHT -1"),
    row(1, "BRPOPLPUSH $list $list -1|abc"),
    row(1, "BLMPOP -1 1 $list LEFT|WHAT [COUNT] [$int]"),
    row(2, "OBJECT ENCODING $list"),
    row(2, "DEL $list"),
    row(1, "RENAME|COPY $list $list"),
    // Sets.
    row(8, "SADD $set $elem $elem [$elem] [$elem] [$value]"),
    row(4, "SADD $set $value [$value] [$int]"),
    row(6, "SREM $set $elem [$elem] [$elem] [$value]"),
    row(4, "SMOVE $set $set $elem"),
    row(4, "SISMEMBER $set $elem"),
    row(3, "SMISMEMBER $set $elem [$elem] [$value]"),
    row(3, "SCARD $set"),
    row(4, "SMEMBERS $set"),
    row(4, "SINTER|SUNION|SDIFF $set [$set] [$set]"),
    row(
        5,
        "SINTERSTORE|SUNIONSTORE|SDIFFSTORE $set $set [$set] [$set]",
    ),
    row(3, "SINTERCARD 1|2|3 $set [$set] [$set] [LIMIT] [$int]"),
    row(1, "SINTERCARD $int $set $set"),
    // Only all of a set: what else is taken is chance.
    row(1, "SPOP $set 0|100000"),
    row(1, "SPOP $set -1|abc"),
    row(
        2,
        "SRANDMEMBER $set -5|-1|0|1|3|100|9223372036854775807|-9223372036854775808|abc",
    ),
    row(1, "SRANDMEMBER $set"),
    row(2, "SSCAN $set 0|0|0|abc [MATCH|COUNT|TYPE] [$pattern]"),
    row(2, "OBJECT ENCODING $set"),
    row(2, "DEL $set"),
    row(1, "RENAME|COPY $set $set"),
    // Sorted sets.
    row(1, "CONFIG SET zset-max-listpack-entries 0|5|128"),
    row(1, "CONFIG SET zset-max-listpack-value 0|6|64"),
    row(12, "ZADD $zset $score $elem [$score] [$elem]"),
    row(8, "ZADD $zset $score $elem $score $elem $score $value"),
    row(
        12,
        "ZADD $zset [NX|XX] [GT|LT] [CH] [INCR] $score $elem|$value",
    ),
    row(6, "ZINCRBY $zset $score $elem"),
    row(5, "ZREM $zset $elem [$elem] [$value]"),
    row(2, "ZCARD $zset"),
    row(4, "ZSCORE $zset $elem"),
    row(3, "ZMSCORE $zset $elem [$elem] [$value]"),
    row(6, "ZRANK|ZREVRANK $zset $elem"),
    row(4, "ZCOUNT $zset $bound $bound"),
    row(6, "ZRANGE|ZREVRANGE $zset $int $int [WITHSCORES]"),
    row(3, "ZRANGE $zset $int $int [REV] [WITHSCORES|LIMIT]"),
    row(
        6,
        "ZRANGEBYSCORE|ZREVRANGEBYSCORE $zset $bound $bound [WITHSCORES]",
    ),
    row(
        5,
        "ZRANGEBYSCORE|ZREVRANGEBYSCORE $zset $bound $bound LIMIT $small $int [WITHSCORES]",
    ),
    row(
        6,
        "ZRANGE $zset $bound $bound BYSCORE [REV] [WITHSCORES] [LIMIT] [$small] [$small]",
    ),
    row(2, "ZREMRANGEBYRANK $zset $int $int"),
    row(2, "ZREMRANGEBYSCORE $zset $bound $bound"),
    row(
        4,
        "ZRANGESTORE $zset $zset $int $int [REV] [WITHSCORES|BYSCORE]",
    ),
    row(
        4,
        "ZRANGESTORE $zset $zset $bound $bound BYSCORE [REV] [LIMIT] [$small] [$small]",
    ),
    row(
        6,
        "ZUNIONSTORE|ZINTERSTORE $zset 2 $zset|$set $zset [WEIGHTS] [$score] [$score]",
    ),
    row(
        5,
        "ZUNIONSTORE|ZINTERSTORE|ZDIFFSTORE $zset 1|2|3 $zset $zset|$set $zset [AGGREGATE] [SUM|MIN|MAX|WHAT]",
    ),
    row(
        6,
        "ZUNION|ZINTER|ZDIFF 2 $zset|$set $zset [WEIGHTS] [$score] [$score] [WITHSCORES]",
    ),
    row(
        4,
        "ZUNION|ZINTER 2 $zset $zset|$set WEIGHTS $score $score AGGREGATE SUM|MIN|MAX [WITHSCORES]",
    ),
    row(3, "ZDIFF|ZDIFFSTORE $zset 1|2 $zset $zset|$set"),
    row(3, "ZDIFF 1|2|3 $zset $zset|$set $zset [WITHSCORES]"),
    row(3, "ZINTERCARD 1|2|3 $zset $zset|$set $zset [LIMIT] [$int]"),
    row(1, "ZUNION|ZINTERCARD|ZDIFF $int $zset $zset"),
    row(3, "ZPOPMIN|ZPOPMAX $zset [0|1|2|3|-1|abc]"),
    row(3, "ZMPOP 1|2 $zset [$zset] MIN|MAX|WHAT [COUNT] [$int]"),
    // A negative time-out: they would wait otherwise.
    row(1, "BZPOPMIN|BZPOPMAX $zset $zset -1|abc"),
    row(1, "BZMPOP -1 1 $zset MIN|WHAT [COUNT] [$int]"),
    row(
        2,
        "ZRANDMEMBER $zset -5|-1|0|1|3|100|9223372036854775807|-9223372036854775808|abc [WITHSCORES|WHAT]",
    ),
    row(1, "ZRANDMEMBER $zset"),
    row(2, "ZSCAN $zset 0|0|0|abc [MATCH|COUNT|TYPE] [$pattern]"),
    row(3, "OBJECT ENCODING $zset"),
    row(2, "DEL $zset"),
    row(1, "RENAME|COPY $zset $zset"),
    // Sorted sets with one score: ranges of bytes are defined for them alone.
    row(6, "ZADD $zlex 0 $value 0 $elem"),
    row(2, "ZREM $zlex $elem [$value]"),
    row(5, "ZRANGEBYLEX|ZREVRANGEBYLEX $zlex $lex $lex"),
    row(
        3,
        "ZRANGEBYLEX|ZREVRANGEBYLEX $zlex $lex $lex LIMIT $small $int",
    ),
    row(
        4,
        "ZRANGE $zlex $lex $lex BYLEX [REV] [LIMIT] [$small] [$small]",
    ),
    row(4, "ZLEXCOUNT $zlex $lex $lex"),
    row(2, "ZREMRANGEBYLEX $zlex $lex $lex"),
    row(
        2,
        "ZRANGESTORE $zlex $zlex $lex $lex BYLEX [REV] [LIMIT] [$small] [$small]",
    ),
    // Hashes.
    row(6, "HSET|HMSET $hash $field $value [$field] [$value]"),
    row(4, "HSET $hash $field $elem $field $elem $field $elem"),
    row(3, "HSETNX $hash $field $value"),
    row(4, "HGET $hash $field"),
    row(3, "HMGET $hash $field [$field] [$field]"),
    row(5, "HGETALL|HKEYS|HVALS $hash"),
    row(5, "HDEL $hash $field [$field] [$field]"),
    row(3, "HLEN $hash"),
    row(3, "HSTRLEN|HEXISTS $hash $field"),
    row(5, "HINCRBY $hash $field $int"),
    row(5, "HINCRBYFLOAT $hash $field $float"),
    row(
        2,
        "HRANDFIELD $hash -5|-1|0|1|3|100|9223372036854775807|-9223372036854775808|abc [WITHVALUES|WHAT]",
    ),
    row(1, "HRANDFIELD $hash"),
    row(2, "HSCAN $hash 0|0|0|abc [MATCH|COUNT|NOVALUES] [$pattern]"),
    row(2, "OBJECT ENCODING $hash"),
    row(2, "DEL $hash"),
    row(1, "RENAME|COPY $hash $hash"),
    // Streams.
    row(1, "CONFIG SET stream-node-max-entries 0|3|7|100"),
    row(1, "CONFIG SET stream-node-max-bytes 0|100|4096"),
    row(
        30,
        "XADD $stream @0-*|@0-1|@0|$sid $sfield $value [$sfield] [$value]",
    ),
    row(20, "XADD $stream @0-*|@0-2 $sfield $value 7 $value"),
    row(
        6,
        "XADD $stream MAXLEN|MINID [=|~] $small|$sid [LIMIT] [$small] @0-* f $value",
    ),
    row(6, "XADD $stream MAXLEN [=|~] $small @0-* f $value"),
    row(4, "XADD $stream MINID [=|~] $sid @0-* f $value"),
    row(3, "XADD $stream NOMKSTREAM @0-* f $value"),
    row(
        6,
        "XTRIM $stream MAXLEN|MINID|WHAT [=|~] $small|$sid [LIMIT] [$small]",
    ),
    row(10, "XDEL $stream $sid [$sid] [$sid]"),
    row(4, "XLEN $stream"),
    row(
        14,
        "XRANGE|XREVRANGE $stream $sid|-|+ $sid|+|- [COUNT] [$small]",
    ),
    row(6, "XREAD [COUNT] [$small] STREAMS $stream $sid|0|$"),
    row(4, "XREAD COUNT $small STREAMS $stream $stream $sid 0|$|>"),
    row(1, "XREAD BLOCK -1|abc STREAMS $stream $sid|$"),
    row(
        8,
        "XGROUP CREATE $stream $group $sid|0|$ [MKSTREAM] [ENTRIESREAD] [$small]",
    ),
    row(
        2,
        "XGROUP SETID $stream $group $sid|0|$ [ENTRIESREAD] [$small]",
    ),
    row(1, "XGROUP DESTROY $stream $group"),
    row(
        2,
        "XGROUP CREATECONSUMER|DELCONSUMER|WHAT $stream $group $consumer",
    ),
    row(
        20,
        "XREADGROUP GROUP $group $consumer [COUNT] [$small] [NOACK] STREAMS $stream >|0|$sid",
    ),
    row(
        4,
        "XREADGROUP GROUP $group $consumer COUNT $small STREAMS $stream $stream >|$ >|$sid",
    ),
    row(8, "XACK $stream $group $sid [$sid] [$sid]"),
    row(5, "XPENDING $stream $group"),
    row(
        6,
        "XPENDING $stream $group $sid|- $sid|+ $small [$consumer]",
    ),
    row(
        2,
        "XPENDING $stream $group IDLE 0|10000000 - + $small [$consumer]",
    ),
    row(
        8,
        "XCLAIM $stream $group $consumer 0|10000000 $sid [$sid] [FORCE] [JUSTID] [RETRYCOUNT] [$small]",
    ),
    row(
        3,
        "XCLAIM $stream $group $consumer 0 $sid IDLE|TIME|LASTID|WHAT $small|$sid [JUSTID]",
    ),
    row(
        6,
        "XAUTOCLAIM $stream $group $consumer 0|10000000 $sid|- [COUNT] [$small] [JUSTID]",
    ),
    row(
        3,
        "XSETID $stream $sid [ENTRIESADDED] [$small] [MAXDELETEDID] [$sid]",
    ),
    row(4, "XINFO STREAM|GROUPS $stream [FULL] [COUNT] [$small]"),
    row(2, "XINFO CONSUMERS $stream $group"),
    row(2, "DEL|TYPE $stream"),
    row(1, "OBJECT ENCODING $stream"),
    // Generic.
    row(4, "DEL|UNLINK $key [$key] [$num]"),
    row(3, "EXISTS|TOUCH $key $key [$num]"),
    row(3, "TYPE $key"),
    row(
        4,
        "EXPIRE|PEXPIRE|EXPIREAT|PEXPIREAT $key $time [NX|XX|GT|LT|WHAT]",
    ),
    row(2, "EXPIRE|PEXPIRE $key $time NX|XX GT|LT"),
    row(4, "TTL|PTTL|EXPIRETIME|PEXPIRETIME $key"),
    row(3, "PERSIST $key"),
    row(3, "RENAME|RENAMENX $key $key"),
    row(3, "COPY $key $key [REPLACE]"),
    row(2, "COPY $key $key DB $db [REPLACE] [WHAT]"),
    row(2, "MOVE $key $db"),
    row(2, "OBJECT ENCODING|REFCOUNT|WHAT $key"),
    row(1, "OBJECT FREQ|HELP $key"),
    row(2, "KEYS $pattern"),
    row(2, "DBSIZE"),
    row(3, "SELECT $db"),
    row(1, "SWAPDB $db $db"),
    row(1, "FLUSHDB [SYNC|ASYNC|WHAT]"),
    row(1, "RANDOMKEY"),
    row(1, "SCAN $int [MATCH|COUNT|TYPE] [$int]"),
    row(
        1,
        "RESTORE $key $time $value [REPLACE|ABSTTL|WHAT] [IDLETIME|FREQ] [$int]",
    ),
    // Connection.
    row(1, "PING [$value]"),
    row(1, "ECHO $value"),
    row(1, "OBJECT|CONFIG|CLIENT"),
    row(1, "SELECT $value"),
    // Pub/sub without subscribers, and what a client without a transaction hears.
    row(1, "PUBLISH|SPUBLISH $key $value"),
    row(
        1,
        "PUBSUB CHANNELS|NUMSUB|SHARDCHANNELS|SHARDNUMSUB|NUMPAT|WHAT [$key]",
    ),
    row(1, "DISCARD|EXEC|UNWATCH"),
];

/// Values of which one is drawn when a number is wanted.
const INTS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "5",
    "7",
    "-2",
    "10",
    "100",
    "-100",
    "255",
    "256",
    "65535",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "+1",
    " 1",
    "1 ",
    "01",
    "-0",
    "",
    "abc",
    "1.5",
    "0x10",
    "1e3",
    "99999999999999999999999",
];

const FLOATS: &[&str] = &[
    "0",
    "1",
    "-1",
    "0.1",
    "-0.1",
    "1.5",
    "3.0",
    "1e3",
    "5.0e3",
    "1e-5",
    "-1.25e2",
    "1e17",
    "1e-17",
    "0.30000000000000004",
    "123456789.123456789",
    "9007199254740993",
    "1e308",
    "-1e308",
    "1e309",
    "inf",
    "-inf",
    "+inf",
    "nan",
    "NaN",
    "infinity",
    "1e4000",
    "",
    "abc",
    "1.5x",
    " 1",
    "1 ",
    "0x1p3",
    ".5",
    "5.",
    "+2",
    "1e",
    "99999999999999999999",
    "0.1e-1",
    "1e4932",
    "1234567890123456789.5",
];

/// Offsets stay small: a string of half a gigabyte tells nothing more.
const OFFSETS: &[&str] = &[
    "0",
    "1",
    "2",
    "5",
    "17",
    "100",
    "1000",
    "-1",
    "-5",
    "536870912",
    "9223372036854775807",
    "abc",
    "",
    "1.5",
];

const BITS: &[&str] = &[
    "0",
    "1",
    "2",
    "7",
    "8",
    "15",
    "63",
    "64",
    "100",
    "1000",
    "8000",
    "-1",
    "4294967296",
    "34359738368",
    "9223372036854775807",
    "abc",
    "",
];

const TYPES: &[&str] = &[
    "u1", "u8", "i8", "u4", "i5", "u16", "i16", "u31", "i32", "u32", "u63", "i64", "u64", "i65",
    "i0", "u0", "x8", "u", "8", "i1", "",
];

const BIT_OFFSETS: &[&str] = &[
    "0",
    "1",
    "7",
    "8",
    "13",
    "100",
    "#0",
    "#1",
    "#3",
    "#10",
    "-1",
    "#-1",
    "abc",
    "#",
    "4294967296",
    "#9223372036854775807",
];

/// Expiry times: far, or plainly invalid. Near ones would race between the two servers; past ones are in the list since
/// they delete at once on both.
const TIMES: &[&str] = &[
    "100000",
    "200000",
    "4000000000",
    "10000000",
    "0",
    "-1",
    "-100",
    "abc",
    "1.5",
    "",
    "9223372036854775807",
    "9223372036854775",
    "9223372036854776",
    "-9223372036854775808",
    "4000000000000",
    "99999999999999999999",
];

const PATTERNS: &[&str] = &[
    "*", "k*", "*1", "k[12]", "k[^1]", "k?", "k[1-3]", "k[3-1]", "\\k1", "k\\*", "[", "k[1", "",
    "**", "*k*1*", "n*", "?", "k[\\1]", "[^]",
];

/// Patterns of BY and GET that meet the other keys when an element is a small number.
const SORT_PATTERNS: &[&str] = &[
    "n*",
    "k*",
    "*",
    "#",
    "nosort",
    "l*",
    "h*->f1",
    "h*->f2",
    "h*->nosuch",
    "n*->f1",
    "h1->*",
    "h*->",
    "*->f1",
    "**",
    "",
    "pf*",
];

const OPTIONS: &[&str] = &[
    "NX", "XX", "GET", "KEEPTTL", "EX", "PX", "EXAT", "PXAT", "PERSIST", "nosuch",
];

/// Ids that are odd; `@n` is one of the last that were added, see [`date_ids`].
const STREAM_IDS: &[&str] = &[
    "0",
    "0-0",
    "0-1",
    "-",
    "+",
    "(-",
    "(",
    "(0-0",
    "5-",
    "-5",
    "5--1",
    "5--01",
    "05-1",
    "+5-1",
    "5-*",
    "abc",
    "",
    "1-18446744073709551615",
    "18446744073709551616-0",
    "(18446744073709551615-18446744073709551615",
];

const SCORES: &[&str] = &[
    "inf",
    "-inf",
    "+inf",
    "Infinity",
    "nan",
    "abc",
    "",
    "1e3",
    "0x10",
    "-0",
    "1e400",
    "1e-400",
    " 1",
    "1 ",
    "(1",
    "1e300",
    "-1e300",
    "3.0",
    "12345678901234567",
];

/// A score: mostly few numbers, so that some are equal.
fn score(rng: &mut Rng) -> Vec<u8> {
    match rng.below(20) {
        0 => rng.pick(SCORES).as_bytes().to_vec(),
        1 => rng.pick(FLOATS).as_bytes().to_vec(),
        2..6 => ((rng.below(400) as f64 - 200.0) / 16.0)
            .to_string()
            .into_bytes(),
        _ => (rng.below(16) as i64 - 4).to_string().into_bytes(),
    }
}

fn value(rng: &mut Rng) -> Vec<u8> {
    match rng.below(12) {
        0 => Vec::new(),
        1 | 2 => rng.pick(INTS).as_bytes().to_vec(),
        3 => rng.pick(FLOATS).as_bytes().to_vec(),
        4 => {
            let len = rng.below(80);
            rng.bytes(len)
        }
        5 => b"ab".repeat(rng.below(40)),
        // Around the limit of an embedded string.
        6 => b"e".repeat(40 + rng.below(10)),
        7 => vec![b'z'; 200 + rng.below(3000)],
        8 => vec![0xff; 1 + rng.below(20)],
        9 => vec![0; 1 + rng.below(20)],
        _ => format!("value{}", rng.below(20)).into_bytes(),
    }
}

/// A near expiry would race between the two servers, and two equal ones would make GT and LT depend on a millisecond:
/// relative times are made far, and longer with each step of the stream.
fn spread_expiries(words: &mut [Vec<u8>], step: usize) {
    for i in 1..words.len() {
        let after_option = ["EX", "PX"]
            .iter()
            .any(|o| words[i - 1].eq_ignore_ascii_case(o.as_bytes()));
        let expires = after_option
            || (i == 2
                && ["SETEX", "PSETEX", "EXPIRE", "PEXPIRE", "RESTORE"]
                    .iter()
                    .any(|c| words[0].eq_ignore_ascii_case(c.as_bytes())));
        let valid = std::str::from_utf8(&words[i])
            .ok()
            .and_then(|s| s.parse::<i64>().ok())
            .filter(|n| (1..9_000_000_000_000_000_000).contains(n));
        if let Some(n) = valid
            && expires
        {
            let far = n.max(1_000_000) + step as i64 * 5000;
            words[i] = far.to_string().into_bytes();
        }
    }
}

/// Stream ids rise with the steps: `@n` becomes the time of `n` additions ago.
fn date_ids(words: &mut [Vec<u8>], step: usize) {
    if !words[0].starts_with(b"X") {
        return;
    }
    for w in &mut words[1..] {
        let Some(at) = w.iter().position(|b| *b == b'@').filter(|at| *at <= 1) else {
            continue;
        };
        let end = w[at + 1..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
            + at
            + 1;
        let ago = std::str::from_utf8(&w[at + 1..end])
            .ok()
            .and_then(|s| s.parse::<usize>().ok());
        if let Some(ago) = ago {
            let ms = (step / 8 + 1).saturating_sub(ago).to_string();
            w.splice(at..end, ms.into_bytes());
        }
    }
}

/// A longitude or latitude up to `max` degrees, some of them beyond; half of them in one country, where they are near each
/// other.
fn coordinate(rng: &mut Rng, max: usize) -> Vec<u8> {
    let (low, width) = match rng.below(8) {
        0 => (-(max as i64) - 2, 2 * max + 4),
        1..4 => (-(max as i64), 2 * max),
        _ => (40, 4),
    };
    let whole = low + rng.below(width) as i64;
    match rng.below(20) {
        0 => whole.to_string().into_bytes(),
        _ => format!("{whole}.{:06}", rng.below(1_000_000)).into_bytes(),
    }
}

fn word(rng: &mut Rng, kind: &str) -> Vec<u8> {
    let from = |rng: &mut Rng, list: &[&str]| rng.pick(list).as_bytes().to_vec();
    match kind {
        "$key" => match rng.below(30) {
            0 => Vec::new(),
            1 => b"key with \r\n \0 in it".to_vec(),
            2 => format!("n{}", rng.below(4)).into_bytes(),
            _ => format!("k{}", rng.below(8)).into_bytes(),
        },
        "$list" => match rng.below(30) {
            0 => format!("k{}", rng.below(8)).into_bytes(),
            _ => format!("l{}", rng.below(4)).into_bytes(),
        },
        "$set" => match rng.below(30) {
            0 => format!("k{}", rng.below(8)).into_bytes(),
            _ => format!("s{}", rng.below(4)).into_bytes(),
        },
        "$zset" => match rng.below(40) {
            0 => format!("k{}", rng.below(8)).into_bytes(),
            _ => format!("z{}", rng.below(4)).into_bytes(),
        },
        "$zlex" => format!("y{}", rng.below(2)).into_bytes(),
        "$score" => score(rng),
        "$bound" => match rng.below(8) {
            0 => [b"(".to_vec(), score(rng)].concat(),
            1 => from(rng, &["-inf", "+inf", "(-inf", "(inf"]),
            _ => score(rng),
        },
        "$lex" => match rng.below(12) {
            0..3 => b"-".to_vec(),
            3..6 => b"+".to_vec(),
            6 => value(rng),
            7 => from(rng, &["[", "(", "-a", "+a", "[\u{7f}", "((a"]),
            8 | 9 => [b"[".to_vec(), value(rng)].concat(),
            10 => [b"(".to_vec(), value(rng)].concat(),
            _ => format!("[{}", rng.below(12) as i64 - 4).into_bytes(),
        },
        "$hash" => match rng.below(30) {
            0 => format!("k{}", rng.below(8)).into_bytes(),
            _ => format!("h{}", rng.below(4)).into_bytes(),
        },
        "$field" => match rng.below(30) {
            0 => value(rng),
            _ => format!("f{}", rng.below(9)).into_bytes(),
        },
        // Few, so that they are found again.
        "$elem" => format!("{}", rng.below(12) as i64 - 4).into_bytes(),
        "$sortby" => from(rng, SORT_PATTERNS),
        "$geo" => match rng.below(30) {
            0 => format!("k{}", rng.below(8)).into_bytes(),
            _ => format!("g{}", rng.below(4)).into_bytes(),
        },
        "$lon" if rng.one_in(25) => from(rng, &["180", "-180", "180.1"]),
        "$lat" if rng.one_in(25) => from(rng, &["85.05112878", "-85.05112878", "85.051129"]),
        "$lon" => coordinate(rng, 180),
        "$lat" => coordinate(rng, 85),
        "$radius" => match rng.below(12) {
            0 => from(rng, FLOATS),
            1 => b"0".to_vec(),
            _ => format!("{}.{}", 1u64 << rng.below(15), rng.below(1000)).into_bytes(),
        },
        "$hll" => format!("pf{}", rng.below(4)).into_bytes(),
        "$stream" => match rng.below(40) {
            0 => format!("k{}", rng.below(8)).into_bytes(),
            _ => format!("x{}", rng.below(3)).into_bytes(),
        },
        "$group" => format!("g{}", rng.below(3)).into_bytes(),
        "$consumer" => format!("c{}", rng.below(4)).into_bytes(),
        "$sfield" => from(rng, &["f", "7", "name", ""]),
        "$small" => match rng.below(20) {
            0 => from(rng, INTS),
            _ => rng.below(40).to_string().into_bytes(),
        },
        "$sid" => match rng.below(20) {
            0 => from(rng, STREAM_IDS),
            1 => format!("(@{}", rng.below(40)).into_bytes(),
            2..8 => format!("@{}", rng.below(40)).into_bytes(),
            _ => format!("@{}-{}", rng.below(40), rng.below(3)).into_bytes(),
        },
        "$num" => format!("n{}", rng.below(4)).into_bytes(),
        "$value" => value(rng),
        "$int" => match rng.below(3) {
            0 => from(rng, INTS),
            1 => (rng.below(40) as i64 - 20).to_string().into_bytes(),
            _ => ((rng.next_u64() >> rng.below(64)) as i64)
                .wrapping_sub(3)
                .to_string()
                .into_bytes(),
        },
        "$float" => match rng.below(3) {
            0 => from(rng, FLOATS),
            1 => format!("{}.{}", rng.below(2000) as i64 - 1000, rng.below(100_000)).into_bytes(),
            _ => format!("{}e{}", rng.below(1000), rng.below(40) as i64 - 20).into_bytes(),
        },
        "$offset" => from(rng, OFFSETS),
        "$bit" => from(rng, BITS),
        "$bits" => from(rng, TYPES),
        "$bitoff" => from(rng, BIT_OFFSETS),
        "$time" => from(rng, TIMES),
        "$pattern" => from(rng, PATTERNS),
        "$setopt" => from(rng, OPTIONS),
        "$db" => match rng.below(12) {
            0 => from(rng, INTS),
            _ => rng.below(4).to_string().into_bytes(),
        },
        literal => literal.as_bytes().to_vec(),
    }
}

/// Draws the command of a stream's step.
pub fn command(rng: &mut Rng, step: usize) -> Vec<Vec<u8>> {
    let total: u32 = ROWS.iter().map(|r| r.weight).sum();
    let mut at = rng.below(total as usize) as u32;
    let row = ROWS
        .iter()
        .find(|r| {
            let hit = at < r.weight;
            at = at.saturating_sub(r.weight);
            hit
        })
        .unwrap_or(&ROWS[0]);
    let mut words: Vec<Vec<u8>> = Vec::new();
    for spec in row.shape.split(' ') {
        let mut spec = spec;
        if let Some(inner) = spec.strip_prefix('[') {
            if rng.one_in(2) {
                continue;
            }
            spec = inner.trim_end_matches(']');
        }
        let choices: Vec<&str> = spec.split('|').collect();
        let choice = rng.pick(&choices);
        words.push(word(rng, choice));
    }
    // A few commands are damaged: a word too many, too few, or in the other case.
    match rng.below(40) {
        // A waiting command's last word is how long it waits; a random one's, how many gigabytes it answers.
        0 if ![&b"BL"[..], b"BR", b"BZ"].contains(&&words[0][..2])
            && !words[0].windows(4).any(|w| w == b"RAND") =>
        {
            words.push(value(rng));
        }
        // SPOP without its count takes by chance.
        1 if words.len() > 1 && words[0] != b"SPOP" => {
            words.pop();
        }
        2 => words[0].make_ascii_lowercase(),
        3 if words.len() > 2 => {
            let i = 1 + rng.below(words.len() - 1);
            words[i].make_ascii_lowercase();
        }
        _ => {}
    }
    spread_expiries(&mut words, step);
    date_ids(&mut words, step);
    words
}

/// What is run before a command so that both servers have made its consumers: 7.2 makes them whatever the command finds, 7.0
/// when there is something for them.
pub fn consumers_of(args: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let name = String::from_utf8_lossy(&args[0]).to_uppercase();
    let (keys, group, consumer): (&[Vec<u8>], _, _) = match &*name {
        "XREADGROUP" if args.len() > 4 => (&args[4..], &args[2], &args[3]),
        "XCLAIM" | "XAUTOCLAIM" if args.len() > 3 => (&args[1..2], &args[2], &args[3]),
        _ => return Vec::new(),
    };
    keys.iter()
        .filter(|k| k.starts_with(b"x"))
        .map(|k| {
            let words = [b"XGROUP", &b"CREATECONSUMER"[..], k, group, consumer];
            words.iter().map(|w| w.to_vec()).collect()
        })
        .collect()
}

/// A WATCH of one to eight keys of all kinds.
pub fn watch(rng: &mut Rng) -> Vec<Vec<u8>> {
    let mut words = vec![b"WATCH".to_vec()];
    for _ in 0..1 + rng.below(8) {
        let kind = rng.pick(&["$key", "$list", "$set", "$hash", "$hll", "$stream", "$num"]);
        words.push(word(rng, kind));
    }
    words
}

/// All first words of the table, for the check that none is missing in either server.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = ROWS
        .iter()
        .flat_map(|r| r.shape.split(' ').next().unwrap_or("").split('|'))
        .map(str::to_string)
        .collect();
    names.sort();
    names.dedup();
    names
}
