//! The framer against values made up at random, and against rubbish.

use control::frame::{Framer, Limits};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[\\PC\"\\\\{}\\[\\],\n]{0,12}".prop_map(Value::from),
        Just(Value::Null),
    ];
    let tree = leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[a-z\"\\\\]{0,4}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    tree.prop_filter("a container", |value| value.is_array() || value.is_object())
}

fn text(value: &Value, pretty: bool, gap: &str) -> String {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.expect("JSON") + gap
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_come_out_as_they_went_in(
        values in vec((value(), any::<bool>(), "[ \n\t]{0,3}"), 0..5),
        cuts in vec(1..40_usize, 1..50),
    ) {
        let stream: String = values.iter().map(|(value, pretty, gap)| text(value, *pretty, gap)).collect();
        let mut framer = Framer::new(Limits::default());
        let mut found: Vec<Value> = Vec::new();
        let mut rest = stream.as_bytes();
        for cut in cuts.iter().cycle() {
            let (piece, more) = rest.split_at(rest.len().min(*cut));
            framer.push(piece);
            while let Some(value) = framer.next_value().expect("well-formed") {
                found.push(serde_json::from_slice(value).expect("JSON"));
            }
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(!framer.is_partial());
        prop_assert_eq!(found, values.into_iter().map(|(value, ..)| value).collect::<Vec<_>>());
    }

    #[test]
    fn rubbish_is_refused_or_waited_for_within_the_limits(
        pieces in vec(vec(prop_oneof![any::<u8>(), Just(b'{'), Just(b'['), Just(b']'), Just(b'"'), Just(b',')], 0..64), 0..16),
    ) {
        let limits = Limits { bytes_max: 100, depth_max: 4, values_max: 10 };
        let mut framer = Framer::new(limits);
        'stream: for piece in pieces {
            framer.push(&piece);
            loop {
                match framer.next_value() {
                    Ok(Some(value)) => prop_assert!(value.len() <= limits.bytes_max),
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
        }
    }
}
