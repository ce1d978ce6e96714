//! A row of numbers as a small graph of characters (sparkline.c): a few lines of bars, and under each bar its label, written
//! downwards.

/// What a cell shows that is filled up to a third, two thirds, or to its top; a full cell below the top of its bar is `|`.
const LEVELS: &[u8] = b"_o#";
const FULL: char = '|';

/// Appends the graph of `points` (value, label), `columns` of them side by side, `rows` lines high.
pub(super) fn render(out: &mut String, points: &[(u64, String)], columns: usize, rows: usize) {
    let min = points.iter().map(|p| p.0).min().unwrap_or(0);
    let max = points.iter().map(|p| p.0).max().unwrap_or(0);
    let steps = LEVELS.len() * rows;
    let range = (max - min).max(1) as f64;
    let height = |v: u64| {
        let share = (v - min) as f64 * steps as f64 / range;
        (share as usize).min(steps - 1)
    };
    for (i, part) in points.chunks(columns).enumerate() {
        if i > 0 {
            out.push('\n');
        }
        for row in (0..rows).rev() {
            let floor = row * LEVELS.len();
            out.extend(part.iter().map(|(v, _)| match height(*v) {
                h if h < floor => ' ',
                h if h - floor < LEVELS.len() => LEVELS[h - floor] as char,
                _ => FULL,
            }));
            out.push('\n');
        }
        let longest = part.iter().map(|p| p.1.len()).max().unwrap_or(0);
        if longest > 0 {
            // A line of air between bars and labels.
            out.push_str(&" ".repeat(part.len()));
            out.push('\n');
        }
        for at in 0..longest {
            out.extend(
                part.iter()
                    .map(|(_, label)| label.as_bytes().get(at).map_or(' ', |b| *b as char)),
            );
            out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::render;

    fn graph(points: &[(u64, &str)], columns: usize, rows: usize) -> String {
        let points: Vec<(u64, String)> = points.iter().map(|(v, l)| (*v, l.to_string())).collect();
        let mut out = String::new();
        render(&mut out, &points, columns, rows);
        out
    }

    #[test]
    fn bars_and_labels() {
        let got = graph(&[(10, "9s"), (20, "1m"), (40, "12h"), (25, "1d")], 80, 2);
        let want = concat!("  #_\n", "_#||\n", "    \n", "9111\n", "sm2d\n", "  h \n");
        assert_eq!(got, want);
    }

    #[test]
    fn wide_graphs_are_cut_and_equal_values_lie_low() {
        assert_eq!(
            graph(&[(7, "a"), (7, "b"), (7, "c")], 2, 1),
            "__\n  \nab\n\n_\n \nc\n"
        );
        assert_eq!(graph(&[], 80, 4), "");
    }
}
