//! A boot as a picture: SVG, with a bar for each part and each service.
//!
//! Source: W3C, Scalable Vector Graphics (SVG) 1.1.

use super::timing::{Span, Timing, seconds};

/// Pixels a second, at least; short boots are drawn wider.
const SCALE: u64 = 100;
/// Width of the bars that is filled at least, in pixels.
const WIDTH: u64 = 900;
/// Room for the longest name behind a bar, in pixels.
const NAMES: u64 = 320;
const ROW: u64 = 20;
const TOP: u64 = 60;
const LEFT: u64 = 20;

/// What a reader needs: fonts and colours.
const STYLE: &str = "text{font:12px sans-serif;fill:#222}\
.title{font-size:16px;font-weight:bold}\
.grid{stroke:#ddd}.second{fill:#888;font-size:10px}\
.stage{fill:#4a7fb5}.service{fill:#6aa84f}.failed{fill:#cc4125}.waiting{fill:#e6b422}";

/// Draws the boot. Only what was started until everything was up is in it, and what is not up yet.
#[must_use]
pub fn draw(timing: &Timing, title: &str) -> String {
    let services = || {
        let end = timing.done_ms().unwrap_or(u64::MAX);
        timing
            .services
            .iter()
            .filter(move |span| span.began_ms <= end)
    };
    let ends = timing.stages.iter().chain(services()).map(last);
    let end = ends.max().unwrap_or(0).max(1);
    let scale = Scale {
        // Pixels for a thousand milliseconds.
        per_second: SCALE.max(WIDTH * 1000 / end),
    };
    let rows = timing.stages.iter().map(|span| (span, "stage"));
    let rows: Vec<(&Span, &str)> = rows
        .chain(services().map(|span| (span, kind(span))))
        .collect();
    let height = TOP + ROW * (rows.len() as u64 + 1);
    let width = LEFT + scale.pixels(end) + NAMES;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text class=\"title\" x=\"{LEFT}\" y=\"24\">{}</text>\n",
        escape(title)
    );
    let grid = (0..=end / 1000).map(|second| {
        let x = LEFT + scale.pixels(second * 1000);
        format!(
            "<line class=\"grid\" x1=\"{x}\" y1=\"{TOP}\" x2=\"{x}\" y2=\"{height}\"/>\
             <text class=\"second\" x=\"{x}\" y=\"{}\">{second}s</text>\n",
            TOP - 6
        )
    });
    svg.extend(grid);
    for (number, (span, class)) in rows.iter().enumerate() {
        svg += &bar(span, class, TOP + ROW * number as u64, scale, end);
    }
    svg + "</svg>\n"
}

fn kind(span: &Span) -> &'static str {
    match span.ended_ms {
        _ if span.failed => "failed",
        Some(_) => "service",
        None => "waiting",
    }
}

fn last(span: &Span) -> u64 {
    span.ended_ms.unwrap_or(span.began_ms)
}

#[derive(Clone, Copy)]
struct Scale {
    per_second: u64,
}

impl Scale {
    fn pixels(self, milliseconds: u64) -> u64 {
        milliseconds.saturating_mul(self.per_second) / 1000
    }
}

/// What is not up is drawn up to the end.
fn bar(span: &Span, class: &str, top: u64, scale: Scale, end: u64) -> String {
    let ended = span.ended_ms.unwrap_or(end).max(span.began_ms);
    let (from, to) = (scale.pixels(span.began_ms), scale.pixels(ended));
    let width = to.saturating_sub(from).max(1);
    let took = span.took().map_or_else(String::new, seconds);
    format!(
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{bar}\"/>\
         <text x=\"{name}\" y=\"{line}\">{} {took}</text>\n",
        escape(&span.name),
        x = LEFT + from,
        y = top + 3,
        bar = ROW - 6,
        name = LEFT + from + width + 4,
        line = top + ROW - 6,
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::timing::tests::boot;
    use super::*;

    #[test]
    fn a_boot_is_drawn() {
        let drawn = draw(&boot(), "host <1>");
        let bars: Vec<&str> = drawn
            .lines()
            .filter(|line| line.starts_with("<rect class"))
            .collect();
        expect_test::expect![[r#"
            <rect class="stage" x="20" y="63" width="92" height="14"/><text x="116" y="74">kernel 0.412s</text>
            <rect class="stage" x="112" y="83" width="133" height="14"/><text x="249" y="94">stage-1 0.588s</text>
            <rect class="stage" x="245" y="103" width="180" height="14"/><text x="429" y="114">stage-2 0.797s</text>
            <rect class="stage" x="425" y="123" width="495" height="14"/><text x="924" y="134">services 2.200s</text>
            <rect class="service" x="427" y="143" width="1" height="14"/><text x="432" y="154">clock 0.005s</text>
            <rect class="waiting" x="436" y="163" width="484" height="14"/><text x="924" y="174">slow </text>
            <rect class="failed" x="447" y="183" width="473" height="14"/><text x="924" y="194">broken </text>
            <rect class="service" x="470" y="203" width="450" height="14"/><text x="924" y="214">web 2.000s</text>"#]].assert_eq(&bars.join("\n"));
        assert!(drawn.contains(">host &lt;1&gt;</text>"));
        assert!(drawn.starts_with(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1240\" height=\"240\""
        ));
        assert!(drawn.ends_with("</svg>\n"));
    }

    #[test]
    fn nothing_is_an_empty_picture() {
        let timing = Timing {
            stages: Vec::new(),
            services: Vec::new(),
        };
        assert!(draw(&timing, "x").ends_with("</svg>\n"));
    }
}
