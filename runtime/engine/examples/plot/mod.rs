//! Line charts side by side in one SVG file.

use std::fmt::Write as _;

/// Pixels of a chart, and around what is drawn in it: left of it for the numbers, above for title and names.
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 50.0;

/// Of the lines, in their order: told apart by who does not see red and green, too.
const COLOURS: [&str; 3] = ["#0060c0", "#d06000", "#808080"];

/// About so many numbers stand at an axis.
const TICKS: f64 = 5.0;

pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    pub(crate) lines: Vec<Line<'a>>,
}

/// What it is called, and its points from left to right.
pub(crate) struct Line<'a>(pub(crate) &'a str, pub(crate) Vec<(f64, f64)>);

/// So many charts in a row.
pub(crate) fn svg(charts: &[Chart], columns: usize) -> String {
    let rows = charts.len().div_ceil(columns);
    let (width, height) = (columns as f64 * WIDTH, rows as f64 * HEIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (number, chart) in charts.iter().enumerate() {
        let (column, row) = (number % columns, number / columns);
        let (x, y) = (column as f64 * WIDTH, row as f64 * HEIGHT);
        write!(
            svg,
            "<g transform=\"translate({x} {y})\">\n{}</g>\n",
            drawn(chart)
        )
        .unwrap();
    }
    svg + "</svg>\n"
}

fn drawn(chart: &Chart) -> String {
    let points = || chart.lines.iter().flat_map(|line| &line.1);
    let (x_step, x_end) = scale(points().map(|point| point.0).fold(0.0, f64::max));
    let (y_step, y_end) = scale(points().map(|point| point.1).fold(0.0, f64::max));
    let x_of = |x: f64| LEFT + x / x_end * (WIDTH - LEFT - RIGHT);
    let y_of = |y: f64| HEIGHT - BOTTOM - y / y_end * (HEIGHT - TOP - BOTTOM);
    let mut out = String::new();
    let mut text = |x: f64, y: f64, anchor: &str, more: &str, text: &str| {
        let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"");
        writeln!(out, "<text {place} {more}>{}</text>", escaped(text)).unwrap();
    };
    text(
        LEFT,
        20.0,
        "start",
        "font-size=\"14\" font-weight=\"bold\"",
        chart.title,
    );
    text(LEFT, TOP - 8.0, "end", "", chart.y);
    text(WIDTH - RIGHT, HEIGHT - 14.0, "end", "", chart.x);
    for (value, step) in ticks(x_step, x_end) {
        text(
            x_of(value),
            HEIGHT - BOTTOM + 16.0,
            "middle",
            "",
            &number(value, step),
        );
    }
    for (value, step) in ticks(y_step, y_end) {
        text(
            LEFT - 6.0,
            y_of(value) + 4.0,
            "end",
            "",
            &number(value, step),
        );
    }
    for (place, (line, colour)) in chart.lines.iter().zip(COLOURS).enumerate() {
        let (x, fill) = (
            LEFT + 30.0 + 120.0 * place as f64,
            format!("fill=\"{colour}\""),
        );
        text(x, TOP - 20.0, "start", &fill, line.0);
    }
    for (value, _) in ticks(y_step, y_end) {
        let (y, end) = (y_of(value), WIDTH - RIGHT);
        writeln!(out, "<path d=\"M{LEFT} {y:.1}H{end}\" stroke=\"#dddddd\"/>").unwrap();
    }
    for (line, colour) in chart.lines.iter().zip(COLOURS) {
        let at = |(x, y): &(f64, f64)| format!("{:.1},{:.1}", x_of(*x), y_of(*y));
        let points: Vec<_> = line.1.iter().map(at).collect();
        let points = points.join(" ");
        writeln!(
            out,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        )
        .unwrap();
    }
    out
}

/// A step of 1, 2 or 5 and zeros, and the end of an axis that goes to at least so much.
fn scale(most: f64) -> (f64, f64) {
    let rough = most.max(f64::MIN_POSITIVE) / TICKS;
    let zeros = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|times| times * zeros);
    let step = steps.into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(steps[3]);
    (step, step * (most / step).ceil().max(1.0))
}

fn ticks(step: f64, end: f64) -> impl Iterator<Item = (f64, f64)> {
    let count = (end / step).round() as u32;
    (0..=count).map(move |number| (f64::from(number) * step, step))
}

/// With as many digits as tell it from the next step.
fn number(value: f64, step: f64) -> String {
    let digits = (-step.log10().floor()).max(0.0) as usize;
    format!("{value:.digits$}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
