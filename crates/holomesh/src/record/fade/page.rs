//! The page of tiers side by side: no script, nothing loaded.

use consent_decay::Tier;
use data_encoding::BASE64;
use std::fmt::Write as _;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem;color:#1b1f24;background:#fff}\
    h1{font-size:1.4rem}table{border-collapse:collapse;width:100%}\
    th,td{padding:.45rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid #d8dee4}\
    td.n{font-variant-numeric:tabular-nums}img{width:100%;max-width:260px;display:block;margin:0 0 .35rem}\
    .bar{height:.55rem;background:#0b6bcb;margin-top:.2rem}.none{color:#6e7781}";

/// What there is at one tier.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) tier: Tier,
    /// Days since the recording.
    pub(super) day: u64,
    /// Bytes of symbols: key frames, base, enhancement, repair.
    pub(super) groups: [u64; 4],
    /// Bytes of the database's file.
    pub(super) file: u64,
    pub(super) pictures: u64,
    pub(super) reduced: u64,
    /// Luma PSNR of the pictures shown against those published, in dB.
    pub(super) psnr: Option<f64>,
    /// Seconds from the beginning to the last picture.
    pub(super) span: f64,
    pub(super) stills: Vec<Vec<u8>>,
    /// Why nothing can be played.
    pub(super) why: Option<String>,
}

impl Column {
    pub(super) fn bytes(&self) -> u64 {
        self.groups.iter().sum()
    }

    /// Pictures a second.
    pub(super) fn rate(&self) -> f64 {
        if self.span > 0.0 { self.pictures.saturating_sub(1) as f64 / self.span } else { 0.0 }
    }

    pub(super) fn line(&self) -> String {
        let psnr = self.psnr.map_or_else(|| "-".into(), |psnr| format!("{psnr:.1} dB"));
        format!(
            "day {:3}  {:17}  {:>9} bytes of symbols, {:>9} in the file  {:>4} pictures, {:.1} a second, {psnr}",
            self.day,
            self.tier.to_string(),
            self.bytes(),
            self.file,
            self.pictures,
            self.rate(),
        )
    }
}

/// The page.
pub(super) fn render(columns: &[Column]) -> String {
    let mut rows = String::new();
    let mut row = |name: &str, class: &str, cell: &dyn Fn(&Column) -> String| {
        let _ = write!(rows, "<tr><th>{name}</th>");
        for column in columns {
            let _ = write!(rows, "<td class=\"{class}\">{}</td>", cell(column));
        }
        rows.push_str("</tr>\n");
    };
    let full = columns.first().map_or(1, Column::bytes).max(1);
    row("from day", "n", &|column| column.day.to_string());
    row("pictures", "", &|column| match &column.why {
        Some(why) => format!("<span class=\"none\">{}</span>", escaped(why)),
        None => column.stills.iter().map(|still| image(still)).collect(),
    });
    row("bytes of symbols", "n", &|column| {
        let share = column.bytes() as f64 * 100.0 / full as f64;
        format!("{} ({share:.0} %)<div class=\"bar\" style=\"width:{share:.1}%\"></div>", column.bytes())
    });
    for (at, name) in ["key frames", "base", "enhancement", "repair"].into_iter().enumerate() {
        row(name, "n", &|column| column.groups[at].to_string());
    }
    row("bytes of the file", "n", &|column| column.file.to_string());
    row("pictures shown", "n", &|column| format!("{} ({:.1} a second)", column.pictures, column.rate()));
    row("in fewer layers", "n", &|column| column.reduced.to_string());
    row("luma PSNR", "n", &|column| {
        column.psnr.map_or_else(|| "none".into(), |psnr| format!("{psnr:.1} dB"))
    });
    let heads: String = columns.iter().map(|column| format!("<th>{}</th>", column.tier)).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>holomesh: a recording fades</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>A recording as its consent ages</h1>\n\
         <p>One clip, recorded with consent of class <code>temporary</code>, with some of its chunks lost on the way. The last column \
         is after its publisher took consent back.</p>\n\
         <table>\n<tr><th>tier</th>{heads}</tr>\n{rows}</table>\n</body>\n</html>\n"
    )
}

fn image(png: &[u8]) -> String {
    format!("<img alt=\"a picture of the recording\" src=\"data:image/png;base64,{}\">", BASE64.encode(png))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
