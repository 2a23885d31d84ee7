//! What pages load: style, scripts and the mark, all part of the program. One thing is foreign,
//! uPlot (MIT), which draws charts that can be looked at closer; its licence goes with it.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::ask::Centre;

const STYLE: &str = include_str!("../../assets/style.css");
/// The mark in the browser's tab.
const ICON: &str = include_str!("../../assets/icon.svg");
/// What makes the trace page live.
const TRACE: &str = include_str!("../../assets/trace.js");
/// What reads a chosen file into its field.
const UPLOAD: &str = include_str!("../../assets/upload.js");
/// What keeps pages up to date.
const LIVE: &str = include_str!("../../assets/live.js");
/// What makes and shows passkeys.
const PASSKEY: &str = include_str!("../../assets/passkey.js");
/// Charts that can be looked at closer.
const ZOOM: &str = include_str!("../../assets/zoom.js");
/// uPlot 1.6.32 as its author publishes it, behind its licence.
const UPLOT: &str = concat!(
    "/*!\n",
    include_str!("../../assets/uplot/LICENSE"),
    "*/\n",
    include_str!("../../assets/uplot/uPlot.iife.min.js")
);
const UPLOT_STYLE: &str = concat!(
    "/*!\n",
    include_str!("../../assets/uplot/LICENSE"),
    "*/\n",
    include_str!("../../assets/uplot/uPlot.min.css")
);

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

pub(super) fn routes() -> Router<Centre> {
    let all = [
        ("style.css", CSS, STYLE),
        ("icon.svg", "image/svg+xml", ICON),
        ("trace.js", SCRIPT, TRACE),
        ("live.js", SCRIPT, LIVE),
        ("upload.js", SCRIPT, UPLOAD),
        ("passkey.js", SCRIPT, PASSKEY),
        ("zoom.js", SCRIPT, ZOOM),
        ("uplot.js", SCRIPT, UPLOT),
        ("uplot.css", CSS, UPLOT_STYLE),
    ];
    all.into_iter()
        .fold(Router::new(), |routes, (name, form, text)| {
            let answer = move || std::future::ready(asset(form, text));
            routes.route(&format!("/assets/{name}"), get(answer))
        })
}

/// Asked for anew after an update: no page has an old style.
fn asset(form: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, form),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What uPlot puts behind the names in its legend is English.
    #[test]
    fn the_colon_in_the_legend_of_a_chart_stands_apart_in_french() {
        let legend = ".u-inline.u-live th::after";
        assert!(UPLOT_STYLE.contains(&format!("{legend} {{content: \":\"")));
        let ours = format!(":lang(fr) .u-legend{legend} {{ content: \"\\202f:\"; }}");
        assert!(STYLE.contains(&ours), "{ours}");
    }
}
