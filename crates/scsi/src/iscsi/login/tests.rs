//! Both ends of a login against each other, and against ends that do not keep to it.

use super::chap::{ChapAccount, ChapAccounts, ChapAlgorithm, ChapOptions};
use super::*;
use crate::iscsi::IscsiName;
use std::rc::Rc;
use wire::iscsi::{LoginStatus, Stage};

const INITIATOR: &str = "iqn.2001-04.com.example:initiator";
const TARGET: &str = "iqn.2001-04.com.example:disk";

fn name(text: &str) -> IscsiName {
    IscsiName::parse(text).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes()).unwrap()
}

fn identity(chap: Option<ChapOptions>) -> Rc<InitiatorIdentity> {
    Rc::new(InitiatorIdentity {
        initiator: name(INITIATOR),
        alias: "us".to_owned(),
        target: Some(name(TARGET)),
        chap: chap.map(Rc::new),
    })
}

fn accounts() -> Rc<ChapAccounts> {
    let mutual = Some(("target".to_owned(), secret("the target's secret")));
    let account = ChapAccount { name: "user".to_owned(), secret: secret("the user's secret"), mutual };
    let algorithms = ChapAlgorithm::ALL.to_vec();
    Rc::new(ChapAccounts { accounts: vec![account], algorithms, mutual_required: false })
}

fn admission(authentication: Authentication) -> Admission {
    Admission {
        authentication,
        limits: Limits::default(),
        joins: None,
        portal_group_tag: 1,
        target_alias: "them".to_owned(),
    }
}

#[derive(Debug, PartialEq)]
enum End {
    Refused(Refusal),
    GaveUp(LoginError),
}

/// Both ends until they are done.
fn log_in(
    chap: Option<ChapOptions>,
    authentication: &Authentication,
) -> Result<(InitiatorLogin, TargetLogin), End> {
    let mut count = 0;
    let entropy: &mut Entropy<'_> = &mut || {
        count += 1;
        count
    };
    let mut initiator = InitiatorLogin::new(identity(chap), Limits::default());
    let mut target = TargetLogin::new();
    let mut request = initiator.begin();
    loop {
        let mut admit = |_: &Identity| Ok(admission(authentication.clone()));
        let (turn, text) = target.handle(entropy, request.0, &request.1, &mut admit).map_err(End::Refused)?;
        match initiator.handle(entropy, LoginStatus::Success, turn, &text).map_err(End::GaveUp)? {
            Step::Send(turn, text) => request = (turn, text),
            Step::Done => break,
        }
    }
    Ok((initiator, target))
}

#[test]
fn without_authentication_both_come_to_the_full_feature_phase() {
    let (initiator, target) = log_in(None, &Authentication::None).ok().unwrap();
    assert_eq!(target.stage(), Stage::FullFeature);
    assert_eq!(target.identity().unwrap().initiator, name(INITIATOR));
    assert_eq!(target.identity().unwrap().initiator_alias, "us");
    assert_eq!(target.proven_name(), None);
    assert_eq!((initiator.portal_group_tag(), initiator.target_alias()), (Some(1), "them"));
    assert_eq!(initiator.parameters().unwrap(), target.parameters().unwrap());
}

fn options() -> ChapOptions {
    ChapOptions::one_way("user".to_owned(), secret("the user's secret"))
}

fn mutual(target_secret: &str) -> ChapOptions {
    ChapOptions { mutual: Some((Some("target".to_owned()), secret(target_secret))), ..options() }
}

#[test]
fn chap_passes_who_knows_the_secret_with_every_algorithm() {
    for algorithm in ChapAlgorithm::ALL {
        for chap in [options(), mutual("the target's secret")] {
            let chap = ChapOptions { algorithms: vec![algorithm], ..chap };
            let authentication = Authentication::Required(accounts());
            let (_, target) = log_in(Some(chap), &authentication).ok().unwrap();
            assert_eq!(target.proven_name(), Some("user"));
        }
    }
}

#[test]
fn chap_refuses_who_does_not() {
    let wrong = [
        Some(ChapOptions { secret: secret("another secret"), ..options() }),
        Some(ChapOptions { name: "nobody".to_owned(), ..options() }),
        Some(ChapOptions { algorithms: vec![], ..options() }),
        None,
    ];
    for chap in wrong {
        let end = log_in(chap, &Authentication::Required(accounts())).err();
        assert_eq!(end, Some(End::Refused(Refusal::AuthenticationFailure)));
    }
}

#[test]
fn a_target_that_cannot_prove_itself_is_left() {
    let end = log_in(Some(mutual("not its secret")), &Authentication::Required(accounts())).err();
    assert_eq!(end, Some(End::GaveUp(LoginError::Chap(chap::ChapError::Response))));
    let end = log_in(Some(mutual("the target's secret")), &Authentication::None).err();
    assert_eq!(end, Some(End::Refused(Refusal::AuthenticationFailure)));
}

#[test]
fn a_target_that_wants_no_proof_gets_none() {
    let (_, target) = log_in(Some(options()), &Authentication::None).ok().unwrap();
    assert_eq!(target.proven_name(), None);
    let (_, target) = log_in(None, &Authentication::Optional(accounts())).ok().unwrap();
    assert_eq!(target.proven_name(), None);
    let (_, target) = log_in(Some(options()), &Authentication::Optional(accounts())).ok().unwrap();
    assert_eq!(target.proven_name(), Some("user"));
}

#[test]
fn one_way_is_not_enough_where_both_must_be_proven() {
    let strict = Rc::new(ChapAccounts { mutual_required: true, ..ChapAccounts::clone(&accounts()) });
    let end = log_in(Some(options()), &Authentication::Required(strict)).err();
    assert_eq!(end, Some(End::Refused(Refusal::AuthenticationFailure)));
}

/// What a target says to requests that stand here word by word.
struct Script {
    target: TargetLogin,
    authentication: Authentication,
}

impl Script {
    fn new(authentication: Authentication) -> Self {
        Self { target: TargetLogin::new(), authentication }
    }

    fn say(&mut self, turn: Turn, text: &str) -> Result<(Turn, String), Refusal> {
        let authentication = &self.authentication;
        let mut admit = |_: &Identity| Ok(admission(authentication.clone()));
        let (turn, text) = self.target.handle(&mut || 7, turn, text.as_bytes(), &mut admit)?;
        Ok((turn, String::from_utf8(text).unwrap()))
    }

    fn begin(&mut self, turn: Turn, more: &str) -> Result<(Turn, String), Refusal> {
        self.say(turn, &format!("InitiatorName={INITIATOR}\0TargetName={TARGET}\0{more}"))
    }
}

fn to(stage: Stage, next: Stage) -> Turn {
    Turn { stage, next: Some(next), more: false }
}

#[test]
fn an_initiator_may_begin_with_the_operational_stage() {
    let mut script = Script::new(Authentication::Optional(accounts()));
    let turn = to(Stage::Operational, Stage::FullFeature);
    let (turn, text) = script.begin(turn, "X-com.example.key=1\0MaxRecvDataSegmentLength=1024\0").unwrap();
    // Its wish is granted: nothing we declare waits for an answer.
    assert_eq!(turn.next, Some(Stage::FullFeature));
    assert_eq!(
        text,
        "TargetPortalGroupTag=1\0TargetAlias=them\0X-com.example.key=NotUnderstood\0MaxRecvDataSegmentLength=262144\0"
    );
    assert_eq!(script.target.parameters().unwrap().max_send_data_segment_len, 1024);
}

#[test]
fn authentication_cannot_be_left_out() {
    let go = [
        (to(Stage::Operational, Stage::FullFeature), ""),
        (to(Stage::Security, Stage::FullFeature), ""),
        (to(Stage::Security, Stage::Operational), "AuthMethod=None\0"),
        (to(Stage::Security, Stage::Operational), "AuthMethod=KRB5,SRP\0"),
    ];
    for (turn, more) in go {
        let mut script = Script::new(Authentication::Required(accounts()));
        assert_eq!(script.begin(turn, more), Err(Refusal::AuthenticationFailure), "{more}");
    }
    let mut script = Script::new(Authentication::Required(accounts()));
    let (turn, _) = script.begin(to(Stage::Security, Stage::FullFeature), "AuthMethod=CHAP\0").unwrap();
    assert_eq!(turn.next, None);
    let (turn, _) = script.say(to(Stage::Security, Stage::FullFeature), "").unwrap();
    assert_eq!(turn.next, None);
}

#[test]
fn text_cut_anywhere_is_put_together() {
    let mut script = Script::new(Authentication::None);
    let part = Turn { stage: Stage::Operational, next: None, more: true };
    assert_eq!(script.say(part, "InitiatorName=iqn.2001-04.com").unwrap().1, "");
    assert_eq!(script.say(part, ".example:x\0TargetName").unwrap().1, "");
    let (turn, _) =
        script.say(to(Stage::Operational, Stage::FullFeature), "=iqn.2001-04.com.example:y\0").unwrap();
    assert_eq!(turn.next, Some(Stage::FullFeature));
    assert_eq!(script.target.identity().unwrap().initiator.as_str(), "iqn.2001-04.com.example:x");
}

#[test]
fn a_login_without_end_ends() {
    let mut script = Script::new(Authentication::None);
    script.begin(Turn::stay(Stage::Security), "").unwrap();
    let refusal = (0..1000).find_map(|_| script.say(Turn::stay(Stage::Security), "").err());
    assert_eq!(refusal, Some(Refusal::InitiatorError));
    let mut script = Script::new(Authentication::None);
    let part = Turn { stage: Stage::Security, next: None, more: true };
    let refusal = (0..1000).find_map(|_| script.say(part, &"x".repeat(8192)).err());
    assert_eq!(refusal, Some(Refusal::InitiatorError));
}

#[test]
fn what_breaks_the_rules_is_refused() {
    let security = Turn::stay(Stage::Security);
    let cases = [
        (security, "TargetName=iqn.2001-04.com.example:y\0", Refusal::MissingParameter),
        (security, "InitiatorName=iqn.2001-04.com.example:x\0", Refusal::MissingParameter),
        (security, "InitiatorName=a\0InitiatorName=b\0TargetName=c\0", Refusal::InitiatorError),
        (security, "InitiatorName=a\0SessionType=Odd\0", Refusal::SessionType),
        (security, "InitiatorName=a\0TargetName=c\0CHAP_A=5\0", Refusal::InitiatorError),
        (security, "InitiatorName=a\0TargetName=c\0MaxBurstLength=5\0", Refusal::InitiatorError),
        (
            security,
            "InitiatorName=a\0TargetName=c\0AuthMethod=None\0AuthMethod=None\0",
            Refusal::InitiatorError,
        ),
        (security, "InitiatorName\0", Refusal::InitiatorError),
        (to(Stage::Operational, Stage::Security), "", Refusal::InitiatorError),
        (to(Stage::Security, Stage::Security), "", Refusal::InitiatorError),
        (Turn { more: true, ..to(Stage::Security, Stage::Operational) }, "", Refusal::InitiatorError),
    ];
    for (turn, text, refusal) in cases {
        let mut script = Script::new(Authentication::None);
        assert_eq!(script.say(turn, text), Err(refusal), "{text}");
    }
}

#[test]
fn our_own_challenge_sent_back_is_refused() {
    let mut script = Script::new(Authentication::Required(accounts()));
    let stay = Turn::stay(Stage::Security);
    script.begin(stay, "AuthMethod=CHAP\0").unwrap();
    let (_, asked) = script.say(stay, "CHAP_A=7,5\0").unwrap();
    assert!(asked.starts_with("CHAP_A=7\0CHAP_I=7\0CHAP_C=0x0000000000000007"));
    let challenge = asked.trim_end_matches('\0').rsplit('=').next().unwrap();
    let digest = chap::answer_of(ChapAlgorithm::Sha256, 7, &secret("the user's secret"), challenge);
    let text = format!("CHAP_N=user\0CHAP_R={digest}\0CHAP_I=9\0CHAP_C={challenge}\0");
    assert_eq!(
        script.say(to(Stage::Security, Stage::Operational), &text),
        Err(Refusal::AuthenticationFailure)
    );
}

#[test]
fn proofs_of_any_length_but_the_right_ones_are_refused() {
    for len in [0, 1, 15, 16, 17, 31, 32, 33, 64, 255, 1023, 1024, 1025, 4000] {
        for prefix in ["0x", "0b", ""] {
            let mut script = Script::new(Authentication::Required(accounts()));
            let stay = Turn::stay(Stage::Security);
            script.begin(stay, "AuthMethod=CHAP\0").unwrap();
            script.say(stay, "CHAP_A=7,5\0").unwrap();
            let digits = if prefix == "0b" { "AAAA" } else { "00" };
            let text = format!("CHAP_N=user\0CHAP_R={prefix}{}\0", digits.repeat(len));
            let answer = script.say(to(Stage::Security, Stage::Operational), &text);
            assert!(answer.is_err() && script.target.proven_name().is_none(), "{prefix} {len}");
        }
    }
}

#[test]
fn a_discovery_session_needs_no_target() {
    let mut script = Script::new(Authentication::None);
    let text = format!("InitiatorName={INITIATOR}\0SessionType=Discovery\0");
    let (turn, text) = script.say(to(Stage::Operational, Stage::FullFeature), &text).unwrap();
    assert_eq!((turn.next, text.as_str()), (Some(Stage::FullFeature), "MaxRecvDataSegmentLength=262144\0"));
}

#[test]
fn an_initiator_hears_why_and_where() {
    let refused = |status: LoginStatus, text: &str| {
        let mut initiator = InitiatorLogin::new(identity(None), Limits::default());
        initiator.begin();
        initiator.handle(&mut || 0, status, Turn::stay(Stage::Security), text.as_bytes()).unwrap_err()
    };
    let address = "192.0.2.1:3260,1".to_owned();
    let moved = Refusal::MovedPermanently(address.clone());
    let text = String::from_utf8(moved.text()).unwrap();
    assert_eq!(refused(moved.status(), &text), LoginError::Moved { address, permanently: true });
    assert_eq!(
        refused(LoginStatus::AuthenticationFailure, ""),
        LoginError::Refused(LoginStatus::AuthenticationFailure)
    );
    assert!(
        refused(LoginStatus::AuthenticationFailure, "").is_final()
            && !refused(LoginStatus::ServiceUnavailable, "").is_final()
    );
}

#[test]
fn an_initiator_does_not_follow_a_target_that_leaps() {
    let stages = [
        to(Stage::Security, Stage::FullFeature),
        Turn::stay(Stage::Operational),
        Turn::stay(Stage::FullFeature),
    ];
    for turn in stages {
        let mut initiator = InitiatorLogin::new(identity(None), Limits::default());
        initiator.begin();
        assert_eq!(initiator.handle(&mut || 0, LoginStatus::Success, turn, b""), Err(LoginError::Stage));
    }
    let mut initiator = InitiatorLogin::new(identity(None), Limits::default());
    initiator.begin();
    let endless = (0..1000).find_map(|_| {
        initiator.handle(&mut || 0, LoginStatus::Success, Turn::stay(Stage::Security), b"").err()
    });
    assert_eq!(endless, Some(LoginError::Endless));
}
