use super::*;

/// What the issue of each tier is: bytes only go down, and each tier shows what it says and no more.
#[test]
fn each_tier_shows_what_it_says() {
    let options = Options {
        demo: true,
        clip: None,
        seconds: 4.5,
        layers: Structure::L1T3,
        bit_rate: 300,
        loss: 2.0,
        output: PathBuf::new(),
    };
    let columns = columns(&options).unwrap();
    let tiers: Vec<Tier> = columns.iter().map(|column| column.tier).collect();
    let mut all = Tier::ALL;
    all.reverse();
    assert_eq!(tiers, all);
    assert!(columns.windows(2).all(|pair| pair[0].bytes() > pair[1].bytes() || pair[1].bytes() == 0));
    let pictures: Vec<u64> = columns.iter().map(|column| column.pictures).collect();
    let whole = (4.5 * 25.0) as u64;
    assert!(pictures[0] >= whole * 9 / 10, "{pictures:?}");
    assert!(
        pictures[1] <= pictures[0] && pictures[1] >= whole * 8 / 10,
        "repair stood in for what was lost: {pictures:?}"
    );
    // One picture in four is of the lowest rate; a key frame each two seconds.
    assert!(pictures[2] <= whole / 4 + 3 && pictures[2] >= whole / 4 - 6, "{pictures:?}");
    assert_eq!(pictures[3..], [3, 0, 0]);
    let groups = |tier: usize| columns[tier].groups.map(|bytes| bytes > 0);
    assert_eq!(groups(0), [true; 4]);
    assert_eq!(groups(1), [true, true, true, false]);
    assert_eq!(groups(2), [true, true, false, false]);
    assert_eq!(groups(3), [true, false, false, false]);
    assert_eq!((groups(4), groups(5)), ([false; 4], [false; 4]));
    assert!(columns[3].psnr.unwrap() > 28.0, "what is shown is the picture");
    assert!(columns[4].why.as_ref().unwrap().contains("envelope-only"));
    assert!(columns[5].why.as_ref().unwrap().contains("taken back"));
}

#[test]
fn the_page_says_everything_and_no_markup_comes_from_elsewhere() {
    let column = Column {
        tier: Tier::EnvelopeOnly,
        day: 14,
        groups: [4, 3, 2, 1],
        file: 99,
        pictures: 0,
        reduced: 0,
        psnr: None,
        span: 0.0,
        stills: vec![vec![1, 2, 3]],
        why: Some("<b>gone</b>".into()),
    };
    let page = page::render(&[column]);
    assert!(page.contains("&lt;b&gt;gone") && !page.contains("<b>"));
    assert!(page.contains("envelope-only") && page.contains("10 (100 %)"));
}
