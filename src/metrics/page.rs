//! The page: one HTML file with its style and script in it, which loads nothing from anywhere else. Its policy says so to browsers.

use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::http::base64_encode;
use super::state::Page;
use crate::server::Server;

const HTML: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// As a policy names what stands in a page: by its digest.
fn hash_source(text: &str) -> String {
    format!("'sha256-{}'", base64_encode(&Sha256::digest(text)))
}

/// Puts the page together.
fn make_page() -> Page {
    let html = HTML
        .replace("/*STYLE*/", STYLE)
        .replace("/*SCRIPT*/", SCRIPT);
    let policy = format!(
        "Content-Security-Policy: default-src 'none'; style-src {}; script-src {}; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n",
        hash_source(STYLE),
        hash_source(SCRIPT)
    );
    Page {
        html: html.into_bytes().into(),
        policy: policy.into(),
    }
}

impl Server {
    /// The page; it is put together when it is asked for first.
    pub(super) fn metrics_page(&mut self) -> Page {
        let Some(metrics) = &mut self.metrics else {
            return Page {
                html: Rc::from([]),
                policy: "".into(),
            };
        };
        metrics.page.get_or_insert_with(make_page).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_and_asks_for_nothing_else() {
        let page = make_page();
        let html = std::str::from_utf8(&page.html).expect("text");
        assert!(html.contains("<style>") && html.contains(SCRIPT) && html.contains(STYLE));
        assert!(!html.contains("/*STYLE*/") && !html.contains("/*SCRIPT*/"));
        for absolute in ["http://", "https://", "src=", "url(", "@import"] {
            let found = html
                .find(absolute)
                .map(|i| &html[i..(i + 60).min(html.len())]);
            // The namespace of SVG is a name, and is not fetched.
            assert!(
                found.is_none_or(|f| f.starts_with("http://www.w3.org/2000/svg")),
                "{found:?}"
            );
        }
        assert!(page.policy.contains("script-src 'sha256-") && page.policy.ends_with("\r\n"));
    }
}
