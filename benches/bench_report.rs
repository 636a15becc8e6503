//! Puts the parts that the benchmarks left together: `report.json`, `report.html`,
//! and on the terminal what is over its limit.

use std::fmt::Write as _;
use std::{fs, io};

use readiness_bench::plot;
use readiness_bench::report::{Cell, Report, folder};
use serde::Serialize;

const HEAD: &str = "<!doctype html><meta charset=utf-8><title>readiness: benchmarks</title>
<style>
body{font:15px/1.4 sans-serif;max-width:72em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse}
.cells td,.cells th{padding:.15em .7em;text-align:right;border-bottom:1px solid #ddd}
.cells td:first-child,.cells th:first-child,.cells td:nth-child(3),.cells th:nth-child(3)
{text-align:left}
.over{background:#fdd}
figure{margin:2em 0}figcaption{font-weight:bold}svg{max-width:100%;height:auto}
.bars td{padding:.15em .5em}.bars td:nth-child(2){width:36em}.bars div{background:#7aa6d8;height:1em}
</style>
<h1>readiness beside the raw calls and its peers</h1>
";

/// What `report.json` has of a cell; the page has the rest, too.
#[derive(Serialize)]
struct Line<'a> {
    case: &'a str,
    size: u64,
    against: &'a str,
    ratio: f64,
    limit: f64,
    spread: f64,
}

impl<'a> From<&'a Cell> for Line<'a> {
    fn from(cell: &'a Cell) -> Line<'a> {
        let Cell { case, size, against, ratio, limit, spread, .. } = cell;
        let (size, ratio, limit, spread) = (*size, *ratio, *limit, *spread);
        Line { case, size, against, ratio, limit, spread }
    }
}

fn main() -> io::Result<()> {
    let report = Report::read_parts()?;
    let lines: Vec<Line<'_>> = report.cells.iter().map(Line::from).collect();
    fs::write(folder().join("report.json"), serde_json::to_string_pretty(&lines)?)?;
    fs::write(folder().join("report.html"), html(&report))?;
    let over: Vec<&Cell> = report.cells.iter().filter(|cell| cell.is_over()).collect();
    println!("{} comparisons, {} over their limit", report.cells.len(), over.len());
    for cell in over {
        let Cell { case, size, against, ratio, limit, spread, .. } = cell;
        println!(
            "  {case}, {size}, against {against}: {ratio:.3} (limit {limit:.2}, spread {spread:.3})"
        );
    }
    println!("{}", folder().join("report.html").display());
    Ok(())
}

fn html(report: &Report) -> String {
    let mut page = String::from(HEAD);
    let over = report.cells.iter().filter(|cell| cell.is_over()).count();
    let _ = writeln!(
        page,
        "<p>{} comparisons, {over} over their limit (red). A ratio is ours over theirs, the median \
         of paired runs; under 1 is better. The spread is the distance of the quartiles. Times are \
         nanoseconds of processor time a wait, or a round where the plot says so; instructions are \
         wasmtime's fuel.</p>",
        report.cells.len()
    );
    page.push_str(&plot::all(report));
    page.push_str(
        "<table class=cells><tr><th>case<th>size<th>against<th>ratio<th>limit<th>spread\
         <th>ours<th>theirs<th>unit",
    );
    for cell in &report.cells {
        let class = if cell.is_over() { " class=over" } else { "" };
        let Cell { case, size, against, ratio, limit, spread, ours, theirs, unit } = cell;
        let _ = write!(
            page,
            "<tr{class}><td>{case}<td>{size}<td>{against}<td>{ratio:.3}<td>{limit:.2}\
             <td>{spread:.3}<td>{ours:.0}<td>{theirs:.0}<td>{unit}",
        );
    }
    page.push_str("</table>\n");
    page
}
