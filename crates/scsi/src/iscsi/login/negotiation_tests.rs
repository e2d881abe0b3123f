//! Two ends of a negotiation against each other, and one end against values that stand here word by word.

use super::*;
use crate::iscsi::login::{DigestPolicy, pairs};

/// Hands one end's text to the other; gives its answers.
fn tell(to: &mut Negotiation, text: Text) -> Result<Text, NegotiationError> {
    let mut answers = Text::default();
    for pair in pairs(&text.into_bytes()) {
        assert!(to.handle(&pair.unwrap(), &mut answers)?);
    }
    Ok(answers)
}

/// A whole negotiation between two ends.
fn settle(initiator: Limits, target: Limits) -> Result<[Parameters; 2], NegotiationError> {
    let mut ends = [initiator, target].map(|limits| Negotiation::new(SessionType::Normal, true, limits));
    let mut offers = Text::default();
    ends[0].offer_all(&mut offers);
    let mut answers = tell(&mut ends[1], offers)?;
    ends[1].offer_needed(&mut answers);
    let rest = tell(&mut ends[0], answers)?;
    assert!(tell(&mut ends[1], rest)?.is_empty());
    assert!(ends.iter().all(Negotiation::is_settled));
    Ok([ends[0].parameters()?, ends[1].parameters()?])
}

fn said(value: &str, key: Key, limits: Limits) -> (String, Negotiation) {
    let mut end = Negotiation::new(SessionType::Normal, true, limits);
    let mut answers = Text::default();
    let pair = Pair { key: key.name(), value };
    end.handle(&pair, &mut answers).unwrap();
    let answers = String::from_utf8(answers.into_bytes()).unwrap();
    (answers.trim_end_matches('\0').to_owned(), end)
}

#[test]
fn both_ends_agree_on_the_tighter_of_two_wishes() {
    let initiator = Limits { max_burst_len: 4096, data_digest: DigestPolicy::Preferred, ..Limits::default() };
    let target = Limits {
        first_burst_len: 100_000,
        initial_r2t: true,
        max_recv_data_segment_len: 65_536,
        max_outstanding_r2t: 3,
        time_to_wait_s: 7,
        ..Limits::default()
    };
    let [ours, theirs] = settle(initiator, target).unwrap();
    assert_eq!((ours.max_burst_len, ours.first_burst_len), (4096, 4096));
    assert_eq!((ours.initial_r2t, ours.immediate_data), (true, true));
    assert_eq!((ours.data_digest, ours.header_digest), (true, false));
    assert_eq!((ours.max_outstanding_r2t, ours.time_to_wait_s), (3, 7));
    assert_eq!((ours.max_recv_data_segment_len, ours.max_send_data_segment_len), (262_144, 65_536));
    assert_eq!((theirs.max_recv_data_segment_len, theirs.max_send_data_segment_len), (65_536, 262_144));
    let mirrored = Parameters {
        max_recv_data_segment_len: ours.max_recv_data_segment_len,
        max_send_data_segment_len: ours.max_send_data_segment_len,
        ..theirs
    };
    assert_eq!(mirrored, ours);
}

#[test]
fn a_silent_initiator_is_asked_only_for_what_must_be() {
    let mut target = Negotiation::new(SessionType::Normal, true, Limits::default());
    let mut text = Text::default();
    target.offer_needed(&mut text);
    let mut strict = Negotiation::new(
        SessionType::Normal,
        true,
        Limits { max_burst_len: 8192, header_digest: DigestPolicy::Required, ..Limits::default() },
    );
    let mut strict_text = Text::default();
    strict.offer_needed(&mut strict_text);
    assert_eq!(text.into_bytes(), b"MaxRecvDataSegmentLength=262144\0");
    let strict_text = String::from_utf8(strict_text.into_bytes()).unwrap();
    assert!(strict_text.starts_with("HeaderDigest=CRC32C\0MaxRecv"));
    assert!(strict_text.ends_with("MaxBurstLength=8192\0FirstBurstLength=8192\0"));
    assert!(!strict.is_settled());
}

#[test]
fn each_kind_of_value_is_answered_by_its_rule() {
    let cases = [
        (Key::HeaderDigest, "CRC32C,None", "HeaderDigest=CRC32C"),
        (Key::HeaderDigest, "X-sum,None", "HeaderDigest=None"),
        (Key::HeaderDigest, "X-sum", "HeaderDigest=Reject"),
        (Key::InitialR2T, "No", "InitialR2T=No"),
        (Key::InitialR2T, "Perhaps", "InitialR2T=Reject"),
        (Key::ImmediateData, "Yes", "ImmediateData=Yes"),
        (Key::MaxBurstLength, "0x1000", "MaxBurstLength=4096"),
        (Key::MaxBurstLength, "16777215", "MaxBurstLength=1048576"),
        (Key::MaxBurstLength, "16777216", "MaxBurstLength=Reject"),
        (Key::MaxBurstLength, "511", "MaxBurstLength=Reject"),
        (Key::MaxConnections, "0", "MaxConnections=Reject"),
        (Key::DefaultTime2Wait, "30", "DefaultTime2Wait=30"),
        (Key::ErrorRecoveryLevel, "2", "ErrorRecoveryLevel=0"),
        (Key::TaskReporting, "FastAbort,RFC3720", "TaskReporting=RFC3720"),
        (Key::ISCSIProtocolLevel, "2", "iSCSIProtocolLevel=2"),
        (Key::IFMarker, "Yes", "IFMarker=Reject"),
        (Key::OFMarkInt, "2048~8192", "OFMarkInt=Reject"),
    ];
    for (key, value, answer) in cases {
        assert_eq!(said(value, key, Limits::default()).0, answer, "{value}");
    }
}

#[test]
fn a_rejected_offer_leaves_the_default() {
    let (_, end) = said("Perhaps", Key::InitialR2T, Limits::default());
    assert!(end.parameters().unwrap().initial_r2t);
}

#[test]
fn nothing_is_negotiated_twice() {
    let (_, mut end) = said("No", Key::InitialR2T, Limits::default());
    let pair = Pair { key: "InitialR2T", value: "No" };
    assert_eq!(end.handle(&pair, &mut Text::default()), Err(NegotiationError::Again(Key::InitialR2T)));
    let pair = Pair { key: "MaxRecvDataSegmentLength", value: "1024" };
    assert_eq!(end.handle(&pair, &mut Text::default()), Ok(true));
    let again = NegotiationError::Again(Key::MaxRecvDataSegmentLength);
    assert_eq!(end.handle(&pair, &mut Text::default()), Err(again));
    assert_eq!(end.handle_later(&Pair { value: "2048", ..pair }), Ok(true));
    assert_eq!(end.parameters().unwrap().max_send_data_segment_len, 2048);
}

#[test]
fn an_answer_follows_from_its_offer() {
    let wrong = [
        ("MaxBurstLength", "2097152"),
        ("InitialR2T", "Perhaps"),
        ("ErrorRecoveryLevel", "1"),
        ("HeaderDigest", "X-sum"),
        ("DefaultTime2Retain", "21"),
        ("MaxRecvDataSegmentLength", "17"),
    ];
    for (key, value) in wrong {
        let mut end = Negotiation::new(SessionType::Normal, true, Limits::default());
        end.offer_all(&mut Text::default());
        let error = NegotiationError::Value(Key::of(key).unwrap());
        assert_eq!(end.handle(&Pair { key, value }, &mut Text::default()), Err(error), "{key}");
    }
}

#[test]
fn a_digest_that_must_be_is_or_there_is_no_session() {
    let strict = Limits { header_digest: DigestPolicy::Required, ..Limits::default() };
    let never = Limits { header_digest: DigestPolicy::Never, ..Limits::default() };
    assert!(settle(strict.clone(), Limits::default()).unwrap()[0].header_digest);
    assert_eq!(settle(strict, never), Err(NegotiationError::Needed(Key::HeaderDigest)));
}

#[test]
fn what_is_of_the_session_is_not_said_by_a_second_connection() {
    let session = Parameters { initial_r2t: false, max_burst_len: 4096, ..Parameters::unsaid() };
    let mut end = Negotiation::join(&session, Limits::default());
    let mut offers = Text::default();
    end.offer_all(&mut offers);
    let offers = String::from_utf8(offers.into_bytes()).unwrap();
    assert!(offers.contains("MaxRecvDataSegmentLength") && !offers.contains("MaxBurstLength"));
    let pair = Pair { key: "MaxBurstLength", value: "512" };
    let error = NegotiationError::NotLeading(Key::MaxBurstLength);
    assert_eq!(end.handle(&pair, &mut Text::default()), Err(error));
    assert_eq!(end.parameters().unwrap().max_burst_len, 4096);
}

#[test]
fn in_a_discovery_session_bursts_mean_nothing() {
    let mut end = Negotiation::new(SessionType::Discovery, true, Limits::default());
    let mut answers = Text::default();
    end.handle(&Pair { key: "MaxBurstLength", value: "4096" }, &mut answers).unwrap();
    assert_eq!(answers.into_bytes(), b"MaxBurstLength=Irrelevant\0");
}

#[test]
fn an_offer_that_decides_needs_no_answer() {
    let limits = Limits { immediate_data: false, ..Limits::default() };
    let mut end = Negotiation::new(SessionType::Normal, true, limits);
    end.offer_all(&mut Text::default());
    for row in &ROWS {
        // These three are what Linux leaves out.
        let decided = [Key::ImmediateData, Key::DataPDUInOrder, Key::DataSequenceInOrder].contains(&row.key);
        if end.progress[row.key as usize] == Progress::Offered {
            assert!(!decided);
            let pair = Pair { key: row.name, value: "NotUnderstood" };
            end.handle(&pair, &mut Text::default()).unwrap();
        }
    }
    assert!(end.is_settled());
    let agreed = end.parameters().unwrap();
    assert!(!agreed.immediate_data && agreed.data_pdu_in_order && agreed.data_sequence_in_order);
}
