//! The three forms in which metrics are written: Prometheus' text (0.0.4), OpenMetrics 1.0, and Prometheus' protobuf, which
//! alone carries native histograms. Whoever asks says in `Accept` which it reads.
//!
//! Invariants: the samples of a family stand together, behind its type; a name is the same in the texts, whichever of them it is.
//! In OpenMetrics a counter's name ends in `_total`: one whose established name does not is of unknown type there.
//!
//! Must not know the server, nor which metrics there are.

use std::fmt::Write as _;

use crate::server::measures::exponential::{Exponential, SCHEMA};

/// See the head of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    OpenMetrics,
    Protobuf,
}

impl Form {
    /// What a request accepts: the first of these forms with the greatest weight. Text, where nothing else is asked for.
    pub(crate) fn of_accept(accept: &str) -> Form {
        let mut best = (Form::Text, 0.0);
        for part in accept.split(',') {
            let mut words = part.split(';').map(str::trim);
            let form = match words.next().unwrap_or_default() {
                "application/openmetrics-text" => Form::OpenMetrics,
                "application/vnd.google.protobuf" => Form::Protobuf,
                "text/plain" | "text/*" | "*/*" => Form::Text,
                _ => continue,
            };
            let mut weight = 1.0;
            for word in words {
                match word.split_once('=') {
                    Some(("q", q)) => weight = q.parse().unwrap_or(0.0),
                    Some(("encoding", e)) if e != "delimited" => weight = 0.0,
                    _ => {}
                }
            }
            if weight > best.1 {
                best = (form, weight);
            }
        }
        best.0
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Form::Text => "text/plain; version=0.0.4; charset=utf-8",
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Form::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

/// What a family's samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Counter,
    Gauge,
    Summary,
    Histogram,
}

/// Names and values.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

/// Writes families one after the other.
pub(crate) struct Exposition {
    form: Form,
    /// What is written and not taken yet.
    out: Vec<u8>,
    name: String,
    kind: Type,
    /// Protobuf: the family that is being written.
    message: Vec<u8>,
    begun: bool,
}

/// A number as the texts have it.
fn push_number(out: &mut String, v: f64) {
    if v.is_nan() {
        out.push_str("NaN");
    } else if v.is_infinite() {
        out.push_str(if v > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        // Writing to a string cannot fail.
        let _ = write!(out, "{v}");
    }
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

/// A bound or a quantile: OpenMetrics writes whole numbers as `1.0`.
fn bound_text(form: Form, v: f64) -> String {
    let mut text = String::new();
    push_number(&mut text, v);
    if form == Form::OpenMetrics && v.is_finite() && !text.contains(['.', 'e']) {
        text.push_str(".0");
    }
    text
}

// Protobuf -------------------------------------------------------------------------------------------------------------

fn varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

fn field_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn field_uint(out: &mut Vec<u8>, field: u64, v: u64) {
    varint(out, field << 3);
    varint(out, v);
}

/// In the encoding in which small negative numbers are short.
fn field_sint(out: &mut Vec<u8>, field: u64, v: i64) {
    field_uint(out, field, ((v << 1) ^ (v >> 63)) as u64);
}

fn field_double(out: &mut Vec<u8>, field: u64, v: f64) {
    varint(out, field << 3 | 1);
    out.extend_from_slice(&v.to_le_bytes());
}

fn labels_of_metric(labels: Labels) -> Vec<u8> {
    let mut metric = Vec::new();
    for (name, value) in labels {
        let mut pair = Vec::new();
        field_bytes(&mut pair, 1, name.as_bytes());
        field_bytes(&mut pair, 2, value.as_bytes());
        field_bytes(&mut metric, 1, &pair);
    }
    metric
}

/// The native part of a histogram: runs of buckets that follow each other, and each bucket's difference to the one before.
fn native_buckets(h: &Exponential) -> Vec<u8> {
    let mut message = Vec::new();
    field_sint(&mut message, 5, i64::from(SCHEMA));
    let (zeros, threshold) = h.zero();
    field_double(&mut message, 6, threshold);
    field_uint(&mut message, 7, zeros);
    let mut spans: Vec<(i32, u64)> = Vec::new();
    let mut deltas = Vec::new();
    let (mut next, mut before) = (0, 0i64);
    for (i, n) in h.buckets() {
        match spans.last_mut() {
            Some(last) if i == next => last.1 += 1,
            // The first counts from index 0, the others from the end of the one before.
            _ => spans.push((i - next, 1)),
        }
        next = i + 1;
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        field_sint(&mut deltas, 13, n - before);
        before = n;
    }
    for (offset, length) in spans {
        let mut span = Vec::new();
        field_sint(&mut span, 1, i64::from(offset));
        field_uint(&mut span, 2, length);
        field_bytes(&mut message, 12, &span);
    }
    message.extend_from_slice(&deltas);
    message
}

impl Exposition {
    pub(crate) fn new(form: Form) -> Exposition {
        Exposition {
            form,
            out: Vec::new(),
            name: String::new(),
            kind: Type::Gauge,
            message: Vec::new(),
            begun: false,
        }
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// Bytes that are written and not taken.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Takes what is written.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn end_family(&mut self) {
        if !std::mem::take(&mut self.begun) || self.form != Form::Protobuf {
            return;
        }
        let message = std::mem::take(&mut self.message);
        varint(&mut self.out, message.len() as u64);
        self.out.extend_from_slice(&message);
    }

    /// Begins a family. One that has no sample may be left as it is.
    pub(crate) fn family(&mut self, name: &str, kind: Type, help: &str) {
        self.end_family();
        self.begun = true;
        self.name.clear();
        self.name.push_str(name);
        self.kind = kind;
        if self.form == Form::Protobuf {
            field_bytes(&mut self.message, 1, name.as_bytes());
            field_bytes(&mut self.message, 2, help.as_bytes());
            let number = match kind {
                Type::Counter => 0,
                Type::Gauge => 1,
                Type::Summary => 2,
                Type::Histogram => 4,
            };
            return field_uint(&mut self.message, 3, number);
        }
        let (mut shown, mut word) = (
            name,
            match kind {
                Type::Counter => "counter",
                Type::Gauge => "gauge",
                Type::Summary => "summary",
                Type::Histogram => "histogram",
            },
        );
        if self.form == Form::OpenMetrics && kind == Type::Counter {
            match name.strip_suffix("_total") {
                Some(stem) => shown = stem,
                None => word = "unknown",
            }
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(text, "# HELP {shown} ");
        push_escaped(&mut text, help);
        let _ = writeln!(text, "\n# TYPE {shown} {word}");
        self.out.extend_from_slice(text.as_bytes());
    }

    fn line(&mut self, suffix: &str, labels: Labels, more: Option<(&str, &str)>, value: f64) {
        let mut text = String::with_capacity(96);
        text.push_str(&self.name);
        text.push_str(suffix);
        let mut before = '{';
        for (name, value) in labels.iter().copied().chain(more) {
            text.push(before);
            text.push_str(name);
            text.push_str("=\"");
            push_escaped(&mut text, value);
            text.push('"');
            before = ',';
        }
        if before == ',' {
            text.push('}');
        }
        text.push(' ');
        push_number(&mut text, value);
        text.push('\n');
        self.out.extend_from_slice(text.as_bytes());
    }

    fn metric(&mut self, labels: Labels, field: u64, value: &[u8]) {
        let mut metric = labels_of_metric(labels);
        field_bytes(&mut metric, field, value);
        field_bytes(&mut self.message, 4, &metric);
    }

    /// A counter's or a gauge's sample.
    pub(crate) fn sample(&mut self, labels: Labels, value: f64) {
        if self.form != Form::Protobuf {
            return self.line("", labels, None, value);
        }
        let mut message = Vec::new();
        field_double(&mut message, 1, value);
        let field = match self.kind {
            Type::Counter => 3,
            _ => 2,
        };
        self.metric(labels, field, &message);
    }

    /// A family of one sample without labels.
    pub(crate) fn single(&mut self, name: &str, kind: Type, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(&[], value);
    }

    /// A summary's sample. The quantiles are what the usual exporter makes of percentiles, which OpenMetrics does not take.
    pub(crate) fn summary(
        &mut self,
        labels: Labels,
        quantiles: &[(f64, f64)],
        sum: f64,
        count: u64,
    ) {
        if self.form != Form::Protobuf {
            for (q, v) in quantiles {
                let q = bound_text(self.form, *q);
                self.line("", labels, Some(("quantile", &q)), *v);
            }
            self.line("_sum", labels, None, sum);
            return self.line("_count", labels, None, count as f64);
        }
        let mut message = Vec::new();
        field_uint(&mut message, 1, count);
        field_double(&mut message, 2, sum);
        for (q, v) in quantiles {
            let mut quantile = Vec::new();
            field_double(&mut quantile, 1, *q);
            field_double(&mut quantile, 2, *v);
            field_bytes(&mut message, 3, &quantile);
        }
        self.metric(labels, 4, &message);
    }

    /// A histogram's sample: upper bounds with cumulative counts, and in protobuf the native buckets where there are some.
    pub(crate) fn histogram(
        &mut self,
        labels: Labels,
        buckets: &[(f64, u64)],
        sum: f64,
        count: u64,
        native: Option<&Exponential>,
    ) {
        if self.form != Form::Protobuf {
            for (le, n) in buckets {
                let le = bound_text(self.form, *le);
                self.line("_bucket", labels, Some(("le", &le)), *n as f64);
            }
            self.line("_bucket", labels, Some(("le", "+Inf")), count as f64);
            self.line("_sum", labels, None, sum);
            return self.line("_count", labels, None, count as f64);
        }
        let mut message = Vec::new();
        field_uint(&mut message, 1, count);
        field_double(&mut message, 2, sum);
        for (le, n) in buckets {
            let mut bucket = Vec::new();
            field_uint(&mut bucket, 1, *n);
            field_double(&mut bucket, 2, *le);
            field_bytes(&mut message, 3, &bucket);
        }
        if let Some(h) = native {
            message.extend_from_slice(&native_buckets(h));
        }
        self.metric(labels, 7, &message);
    }

    /// Nothing follows.
    pub(crate) fn finish(&mut self) {
        self.end_family();
        if self.form == Form::OpenMetrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_what_is_accepted_most() {
        let prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,\
                          application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, want) in [
            ("", Form::Text),
            ("*/*", Form::Text),
            ("text/html, */*;q=0.8", Form::Text),
            (prometheus, Form::Protobuf),
            (
                "application/openmetrics-text; version=1.0.0, text/plain;q=0.5",
                Form::OpenMetrics,
            ),
            ("text/plain, application/openmetrics-text;q=0.9", Form::Text),
            ("application/vnd.google.protobuf;encoding=text", Form::Text),
            ("application/openmetrics-text;q=x", Form::Text),
        ] {
            assert_eq!(Form::of_accept(accept), want, "{accept}");
        }
    }

    fn written(form: Form) -> Vec<u8> {
        let mut e = Exposition::new(form);
        e.family("a_total", Type::Counter, "What\\is\ncounted");
        e.sample(&[("l", "q\"\\\n")], 3.0);
        e.single("odd_count", Type::Counter, "x", 1.5);
        e.family("h", Type::Histogram, "x");
        let mut native = Exponential::default();
        for us in [0, 900, 950, 4000] {
            native.record_us(us);
        }
        e.histogram(
            &[("cmd", "get")],
            &[(1.0, 2), (2.5, 3)],
            7.0,
            4,
            Some(&native),
        );
        e.family("s", Type::Summary, "x");
        e.summary(&[], &[(50.0, 1.0)], 9.0, 2);
        e.finish();
        e.take()
    }

    #[test]
    fn text_and_openmetrics_differ_in_little() {
        let text = String::from_utf8(written(Form::Text)).expect("text");
        assert_eq!(
            text,
            "# HELP a_total What\\\\is\\ncounted\n# TYPE a_total counter\na_total{l=\"q\\\"\\\\\\n\"} 3\n\
             # HELP odd_count x\n# TYPE odd_count counter\nodd_count 1.5\n\
             # HELP h x\n# TYPE h histogram\nh_bucket{cmd=\"get\",le=\"1\"} 2\nh_bucket{cmd=\"get\",le=\"2.5\"} 3\n\
             h_bucket{cmd=\"get\",le=\"+Inf\"} 4\nh_sum{cmd=\"get\"} 7\nh_count{cmd=\"get\"} 4\n\
             # HELP s x\n# TYPE s summary\ns{quantile=\"50\"} 1\ns_sum 9\ns_count 2\n"
        );
        let open = String::from_utf8(written(Form::OpenMetrics)).expect("text");
        assert!(open.contains("# TYPE a counter\na_total{"));
        assert!(open.contains("# TYPE odd_count unknown\nodd_count 1.5\n"));
        assert!(open.contains("le=\"1.0\"") && open.ends_with("# EOF\n"));
    }

    /// Fields of a message: number and value, of length-delimited ones the bytes.
    fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
        fn take_varint(m: &mut &[u8]) -> u64 {
            let (mut v, mut shift) = (0, 0);
            loop {
                let b = m[0];
                *m = &m[1..];
                v |= u64::from(b & 0x7f) << shift;
                shift += 7;
                if b < 0x80 {
                    return v;
                }
            }
        }
        let mut all = Vec::new();
        while !message.is_empty() {
            let key = take_varint(&mut message);
            let value = match key & 7 {
                0 => take_varint(&mut message).to_le_bytes().to_vec(),
                1 => {
                    let (v, rest) = message.split_at(8);
                    message = rest;
                    v.to_vec()
                }
                _ => {
                    let n = take_varint(&mut message) as usize;
                    let (v, rest) = message.split_at(n);
                    message = rest;
                    v.to_vec()
                }
            };
            all.push((key >> 3, value));
        }
        all
    }

    #[test]
    fn protobuf_has_native_buckets() {
        let bytes = written(Form::Protobuf);
        // The families are delimited by their lengths alone: as one message of fields they cannot be read, so by hand.
        let mut rest = &bytes[..];
        let mut families = Vec::new();
        while !rest.is_empty() {
            let mut n = 0usize;
            let mut shift = 0;
            loop {
                let b = rest[0];
                rest = &rest[1..];
                n |= usize::from(b & 0x7f) << shift;
                shift += 7;
                if b < 0x80 {
                    break;
                }
            }
            families.push(fields(&rest[..n]));
            rest = &rest[n..];
        }
        let names: Vec<_> = families.iter().map(|f| f[0].1.clone()).collect();
        assert_eq!(names, [&b"a_total"[..], b"odd_count", b"h", b"s"]);
        let metric = fields(&families[2][3].1);
        assert_eq!((metric[0].0, metric[1].0), (1, 7));
        let h = fields(&metric[1].1);
        let all = |n: u64| h.iter().filter(move |f| f.0 == n).map(|f| f.1.clone());
        let number = |b: &[u8]| u64::from_le_bytes(b.try_into().expect("a number"));
        let signed = |b: &[u8]| {
            let v = number(b);
            (v >> 1) as i64 ^ -((v & 1) as i64)
        };
        assert_eq!(all(5).map(|b| signed(&b)).collect::<Vec<_>>(), [3]);
        assert_eq!(all(7).map(|b| number(&b)).collect::<Vec<_>>(), [1]);
        let spans: Vec<(i64, u64)> = all(12)
            .map(|s| {
                let s = fields(&s);
                (signed(&s[0].1), number(&s[1].1))
            })
            .collect();
        // 0.9 and 0.95 ms lie in the bucket up to 2^(-80/8), 4 ms in that up to 2^(-63/8).
        assert_eq!(spans, [(-80, 1), (16, 1)]);
        assert_eq!(all(13).map(|b| signed(&b)).collect::<Vec<_>>(), [2, -1]);
    }
}
