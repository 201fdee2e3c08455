//! The messages as bytes: their numbers stay, what is written is read, and nothing beyond a limit is either.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use control_wire::{
    Control, Error, MAX_CONSENT_LEN, MAX_CONSENTS, MAX_EVIDENCE_LEN, MAX_GOSSIP_ENTRIES,
    MAX_GOSSIP_ENTRY_LEN, MAX_IDENTITY_LEN, MAX_LANE_ADDRESSES, MAX_MANIFEST_LEN, MAX_PERMIT_LEN,
    MAX_STORED_SYMBOL_LEN, MAX_STORED_SYMBOLS, MAX_WHY_LEN, NoRoom, OverQuota, PREFIX_LEN, Start, StoredAt,
    StoredSymbol, decode, encode, lane_context,
};
use proptest::prelude::*;
use std::net::SocketAddr;

fn content(message: &Control) -> Vec<u8> {
    encode(message).unwrap()[PREFIX_LEN..].to_vec()
}

fn offer(addresses: Vec<SocketAddr>) -> Control {
    Control::LaneOffer { lane: 1, addresses, port: 2, suite: 1 }
}

fn refused(why: String) -> Control {
    Control::LaneRefused { lane: 1, why }
}

fn found(observer: usize, evidence: usize) -> Control {
    Control::Found { observer: vec![7; observer], origin: 5, evidence: vec![8; evidence] }
}

/// One of the messages that came with protocol version 3.
fn recent() -> impl Strategy<Value = Control> {
    let bytes = |most: usize| prop::collection::vec(any::<u8>(), 0..most);
    prop_oneof![
        bytes(6_000).prop_map(|permit| Control::Permit { permit }),
        (any::<[u8; 32]>(), any::<u64>()).prop_map(|(holder, serial)| Control::Revoke { holder, serial }),
        any::<u16>().prop_map(|seconds| Control::Draining { seconds }),
        (any::<Option<[u8; 32]>>(), any::<u8>(), any::<u64>())
            .prop_map(|(stream, what, limit)| { Control::OverQuota { stream, what: what.into(), limit } }),
        (
            any::<u64>(),
            prop::collection::vec(any::<SocketAddr>(), 0..=MAX_LANE_ADDRESSES),
            any::<u16>(),
            any::<u8>()
        )
            .prop_map(|(lane, addresses, port, suite)| Control::LaneOffer {
                lane,
                addresses: addresses.into_iter().map(|at| SocketAddr::new(at.ip(), at.port())).collect(),
                port,
                suite
            }),
        (any::<u64>(), any::<u16>()).prop_map(|(lane, port)| Control::LaneAccept { lane, port }),
        (any::<u64>(), "\\PC{0,100}").prop_map(|(lane, why)| Control::LaneRefused { lane, why }),
        any::<[u8; 16]>().prop_map(|invitation| Control::Resume { invitation }),
        Just(Control::Ping),
        Just(Control::Pong),
        prop::collection::vec(bytes(200), 0..=MAX_GOSSIP_ENTRIES)
            .prop_map(|entries| Control::Gossip { entries }),
        bytes(4_000).prop_map(|evidence| Control::Evidence { evidence }),
        (bytes(2_100), any::<u64>(), bytes(4_000)).prop_map(|(observer, origin, evidence)| Control::Found {
            observer,
            origin,
            evidence
        }),
        any::<[u8; 32]>().prop_map(|stream| Control::Sheds { stream }),
        (any::<[u8; 32]>(), any::<u8>())
            .prop_map(|(stream, why)| Control::SubscribeRefused { stream, why: why.into() }),
        any::<u16>().prop_map(|permille| Control::Losses { permille }),
        prop::collection::vec(bytes(200), 0..=MAX_CONSENTS)
            .prop_map(|consents| Control::Consent { consents }),
        (any::<[u8; 32]>(), any::<Option<[u32; 3]>>(), bytes(200)).prop_map(|(content, from, grant)| {
            let from = from.map(|[epoch, object, skip]| StoredAt {
                epoch: epoch.into(),
                object: object.into(),
                skip,
            });
            Control::Fetch { content, from, grant }
        }),
        (any::<[u8; 32]>(), prop::collection::vec((any::<u64>(), any::<[u8; 2]>(), bytes(200)), 0..9))
            .prop_map(|(content, symbols)| {
                let symbol = |(object, [group, retention], chunk): (u64, [u8; 2], Vec<u8>)| StoredSymbol {
                    object,
                    id: 7,
                    group,
                    retention,
                    chunk,
                };
                let at = StoredAt { epoch: 1, object: 2, skip: 3 };
                Control::Fetched {
                    content,
                    at,
                    symbols: symbols.into_iter().map(symbol).collect(),
                    next: Some(at),
                }
            }),
    ]
}

proptest! {
    #[test]
    fn recent_messages_round_trip_and_cut_or_lengthened_ones_are_refused(message in recent(), cut: prop::sample::Index) {
        let bytes = content(&message);
        prop_assert_eq!(decode::<Control>(&bytes), Ok(message));
        prop_assert!(decode::<Control>(&bytes[..cut.index(bytes.len())]).is_err());
        let longer = [&bytes[..], &[0]].concat();
        prop_assert_eq!(decode::<Control>(&longer), Err(Error::TrailingBytes(1)));
    }
}

#[test]
fn lists_and_texts_end_at_their_limit_in_both_directions() {
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let addresses = |count: usize| (0..count).map(|port| at(port as u16)).collect();
    let longest = [
        Control::Permit { permit: vec![7; MAX_PERMIT_LEN] },
        offer(addresses(MAX_LANE_ADDRESSES)),
        refused("é".repeat(MAX_WHY_LEN / 2)),
        Control::Gossip { entries: vec![vec![7; MAX_GOSSIP_ENTRY_LEN]; MAX_GOSSIP_ENTRIES] },
        Control::Evidence { evidence: vec![7; MAX_EVIDENCE_LEN] },
        found(MAX_IDENTITY_LEN, MAX_EVIDENCE_LEN),
    ];
    for message in longest {
        assert_eq!(decode::<Control>(&content(&message)), Ok(message));
    }
    let longer = [
        Control::Permit { permit: vec![7; MAX_PERMIT_LEN + 1] },
        offer(addresses(MAX_LANE_ADDRESSES + 1)),
        refused("x".repeat(MAX_WHY_LEN + 1)),
        Control::Gossip { entries: vec![vec![]; MAX_GOSSIP_ENTRIES + 1] },
        Control::Gossip { entries: vec![vec![], vec![7; MAX_GOSSIP_ENTRY_LEN + 1]] },
        Control::Evidence { evidence: vec![7; MAX_EVIDENCE_LEN + 1] },
        found(MAX_IDENTITY_LEN + 1, 1),
        found(1, MAX_EVIDENCE_LEN + 1),
    ];
    for message in longer {
        assert!(matches!(encode(&message), Err(Error::Malformed(_))), "{message:?}");
    }
    // The same, written by somebody without limits: message number, lane, length, elements.
    let mut permit = vec![21, 0x81, 0x40];
    permit.resize(3 + MAX_PERMIT_LEN + 1, 7);
    let one = [0, 127, 0, 0, 1, 9];
    let offer = [&[25, 1, 17][..], &one.repeat(17), &[2, 1]].concat();
    let why = [&[27, 1, 0x81, 0x08][..], &[b'x'; MAX_WHY_LEN + 1]].concat();
    let many = [&[31, 33][..], &[0; MAX_GOSSIP_ENTRIES + 1]].concat();
    let long = [&[31, 2, 0, 0x81, 0x60][..], &[7; MAX_GOSSIP_ENTRY_LEN + 1]].concat();
    let evidence = [&[32, 0x81, 0x20][..], &[7; MAX_EVIDENCE_LEN + 1]].concat();
    let observer = [&[33, 0x81, 0x20][..], &[7; MAX_IDENTITY_LEN + 1], &[0, 0]].concat();
    for bytes in [permit, offer, why, many, long, evidence, observer] {
        assert!(matches!(decode::<Control>(&bytes), Err(Error::Malformed(_))), "message {}", bytes[0]);
    }
}

#[test]
fn message_numbers_and_field_order_are_the_wire() {
    let holder = [9; 32];
    let hex = |message: &Control| content(message);
    assert_eq!(hex(&Control::KeyFrame { stream: holder }), [&[11][..], &holder].concat());
    assert_eq!(hex(&Control::MemberCommit { commit: vec![5] }), [20, 1, 5]);
    assert_eq!(hex(&Control::Permit { permit: vec![5, 6] }), [21, 2, 5, 6]);
    assert_eq!(hex(&Control::Revoke { holder, serial: 300 }), [&[22][..], &holder, &[0xac, 2]].concat());
    assert_eq!(hex(&Control::Draining { seconds: 300 }), [23, 0xac, 2]);
    let subscribe = |start| {
        let (layers, stripe_count, stripe_mask) = ([1, 2, 255], 4, 0x81);
        Control::Subscribe { stream: holder, layers, stripe_count, stripe_mask, start }
    };
    for (start, bytes) in
        [(Start::Live, &[0][..]), (Start::KeyFrame, &[1]), (Start::Kept { epoch: 300 }, &[2, 0xac, 2])]
    {
        let head = [&[9][..], &holder, &[1, 2, 255, 4, 0x81, 1]].concat();
        assert_eq!(hex(&subscribe(start)), [&head[..], bytes].concat());
    }
    let over = |stream, what| Control::OverQuota { stream, what, limit: 5 };
    let known = [
        OverQuota::BytesPerSecond,
        OverQuota::PacketsPerSecond,
        OverQuota::Streams,
        OverQuota::Subscribers,
        OverQuota::RequestsPerSecond,
    ];
    for (byte, what) in known.into_iter().enumerate() {
        assert_eq!(hex(&over(None, what)), [24, 0, byte as u8, 5]);
    }
    assert_eq!(hex(&over(Some(holder), OverQuota::Other(200))), [&[24, 1][..], &holder, &[200, 5]].concat());
    let v6 = SocketAddr::from(([1; 16], 257));
    let offer = Control::LaneOffer { lane: 3, addresses: vec![v6], port: 256, suite: 2 };
    assert_eq!(hex(&offer), [&[25, 3, 1, 1][..], &[1; 16], &[0x81, 2, 0x80, 2, 2]].concat());
    assert_eq!(hex(&Control::LaneAccept { lane: 3, port: 1 }), [26, 3, 1]);
    assert_eq!(hex(&Control::LaneRefused { lane: 3, why: "no".into() }), [27, 3, 2, b'n', b'o']);
    assert_eq!(hex(&Control::Resume { invitation: [4; 16] }), [&[28][..], &[4; 16]].concat());
    assert_eq!((hex(&Control::Ping), hex(&Control::Pong)), (vec![29], vec![30]));
    let gossip = Control::Gossip { entries: vec![vec![0, 5], vec![], vec![6; 300]] };
    assert_eq!(hex(&gossip), [&[31, 3, 2, 0, 5, 0, 0xac, 2][..], &[6; 300]].concat());
    assert_eq!(hex(&Control::Evidence { evidence: vec![5, 6] }), [32, 2, 5, 6]);
    assert_eq!(hex(&found(2, 1)), [33, 2, 7, 7, 5, 1, 8]);
    assert_eq!(hex(&Control::Sheds { stream: holder }), [&[34][..], &holder].concat());
    assert!(decode::<Control>(&[32]).is_err());
    let full = |why| Control::SubscribeRefused { stream: holder, why };
    let known = [NoRoom::Subscribers, NoRoom::Quota, NoRoom::Uplink, NoRoom::Other(3), NoRoom::Other(255)];
    for (why, byte) in known.into_iter().zip([0, 1, 2, 3, 255]) {
        assert_eq!(hex(&full(why)), [&[41][..], &holder, &[byte]].concat());
    }
}

#[test]
fn messages_of_what_is_stored_have_these_bytes() {
    let content = [9; 32];
    let hex = |message: &Control| self::content(message);
    assert_eq!(hex(&Control::Consent { consents: vec![vec![5], vec![6, 7]] }), [35, 2, 1, 5, 2, 6, 7]);
    assert_eq!(hex(&Control::Tombstone { tombstone: vec![5] }), [36, 1, 5]);
    let fetch = |from, grant| Control::Fetch { content, from, grant };
    assert_eq!(hex(&fetch(None, vec![])), [&[37][..], &content, &[0, 0]].concat());
    let at = StoredAt { epoch: 1, object: 300, skip: 2 };
    assert_eq!(hex(&fetch(Some(at), vec![4])), [&[37][..], &content, &[1, 1, 0xac, 2, 2, 1, 4]].concat());
    let head = Control::FetchedHead { content, consent: vec![5], manifest: vec![], first: Some(at) };
    assert_eq!(hex(&head), [&[38][..], &content, &[1, 5, 0, 1, 1, 0xac, 2, 2]].concat());
    let symbol = StoredSymbol { object: 300, id: 1, group: 2, retention: 3, chunk: vec![8, 8] };
    let fetched = Control::Fetched { content, at, symbols: vec![symbol], next: None };
    let expected = [&[39][..], &content, &[1, 0xac, 2, 2, 1, 0xac, 2, 1, 2, 3, 2, 8, 8, 0]].concat();
    assert_eq!(hex(&fetched), expected);
    assert_eq!(
        hex(&Control::FetchRefused { content, why: "no".into() }),
        [&[40][..], &content, &[2, b'n', b'o']].concat()
    );
    assert_eq!(hex(&Control::Losses { permille: 300 }), [42, 0xac, 2]);
}

#[test]
fn messages_of_what_is_stored_end_at_their_limits() {
    let content = [9; 32];
    let both = |within: Control, beyond: Control| {
        assert_eq!(decode::<Control>(&self::content(&within)), Ok(within));
        assert!(encode(&beyond).is_err());
    };
    let consents = |count: usize, len: usize| Control::Consent { consents: vec![vec![1; len]; count] };
    both(consents(MAX_CONSENTS, MAX_CONSENT_LEN), consents(MAX_CONSENTS + 1, 1));
    both(consents(1, 0), consents(1, MAX_CONSENT_LEN + 1));
    let tombstone = |len: usize| Control::Tombstone { tombstone: vec![1; len] };
    both(tombstone(MAX_CONSENT_LEN), tombstone(MAX_CONSENT_LEN + 1));
    let fetch = |len: usize| Control::Fetch { content, from: None, grant: vec![1; len] };
    both(fetch(MAX_CONSENT_LEN), fetch(MAX_CONSENT_LEN + 1));
    let head =
        |len: usize| Control::FetchedHead { content, consent: vec![], manifest: vec![1; len], first: None };
    both(head(MAX_MANIFEST_LEN), head(MAX_MANIFEST_LEN + 1));
    let fetched = |count: usize, len: usize| {
        let symbol = StoredSymbol { object: 1, id: 1, group: 1, retention: 1, chunk: vec![1; len] };
        let at = StoredAt { epoch: 0, object: 0, skip: 0 };
        Control::Fetched { content, at, symbols: vec![symbol; count], next: None }
    };
    both(fetched(MAX_STORED_SYMBOLS, 10), fetched(MAX_STORED_SYMBOLS + 1, 10));
    both(fetched(1, MAX_STORED_SYMBOL_LEN), fetched(1, MAX_STORED_SYMBOL_LEN + 1));
    let refused = |len: usize| Control::FetchRefused { content, why: "x".repeat(len) };
    both(refused(MAX_WHY_LEN), refused(MAX_WHY_LEN + 1));
}

#[test]
fn lanes_of_one_link_have_contexts_of_their_own() {
    assert_eq!(lane_context(0x0102), [0, 0, 0, 0, 0, 0, 1, 2]);
    assert_ne!(lane_context(1), lane_context(1 << 32));
}
