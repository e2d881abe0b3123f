//! Text in the full feature phase (RFC 7143, sections 11.10 and 11.11): SendTargets, and what may be declared at any time.

use super::super::Context;
use super::super::session::give;
use super::Connection;
use super::hold::Problem;
use super::outgoing::{Item, buffer_of};
use crate::iscsi::IscsiName;
use crate::iscsi::login::{Gathering, Key as TextKey, Outgoing, Pair, Rule, Text, number_of, pairs};
use stdx::mem::Span;
use wire::iscsi::{Bhs, RESERVED_TAG, RejectReason, TextRequest};

/// An exchange of text that takes several PDUs.
pub(super) struct TextExchange {
    tag: u32,
    gathering: Gathering,
    outgoing: Outgoing,
}

impl core::fmt::Debug for TextExchange {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TextExchange").field("tag", &self.tag).finish_non_exhaustive()
    }
}

impl Connection {
    /// A text request's turn has come.
    pub(super) fn handle_text(&mut self, cx: &mut Context<'_>, bhs: &Bhs, data: Span) -> Result<(), Problem> {
        let mut text = vec![0; data.len()];
        cx.env.mem().read(data, &mut text);
        give(cx.env, data);
        let Ok(request) = TextRequest::decode(bhs) else {
            self.reject(cx, RejectReason::InvalidPduField, *bhs);
            return Ok(());
        };
        // One exchange at a time: a new one takes the place of one that was not ended.
        let goes_on = request.transfer_tag != RESERVED_TAG;
        let mut exchange = match self.text.take() {
            Some(exchange) if goes_on && exchange.tag == request.task_tag => exchange,
            _ if goes_on => {
                self.reject(cx, RejectReason::ProtocolError, *bhs);
                return Ok(());
            }
            _ => TextExchange {
                tag: request.task_tag,
                gathering: Gathering::new(TEXT_BYTES_MAX),
                outgoing: Outgoing::default(),
            },
        };
        if exchange.outgoing.is_empty() {
            match exchange.gathering.add(&text, request.continues) {
                Err(_) => {
                    self.reject(cx, RejectReason::ProtocolError, *bhs);
                    return Ok(());
                }
                Ok(None) => {}
                Ok(Some(whole)) => match self.answer_text(cx, &whole) {
                    Some(answer) => exchange.outgoing = Outgoing::new(answer.into_bytes()),
                    None => {
                        self.reject(cx, RejectReason::ProtocolError, *bhs);
                        return Ok(());
                    }
                },
            }
        }
        self.say_text(cx, &request, exchange)
    }

    /// Says the next part of an answer.
    fn say_text(
        &mut self,
        cx: &mut Context<'_>,
        request: &TextRequest,
        mut exchange: TextExchange,
    ) -> Result<(), Problem> {
        let part_max = (self.outgoing.segment_max as usize).min(PART_BYTES_MAX);
        let (part, more) = exchange.outgoing.next(part_max);
        let data = buffer_of(cx.env, &part).ok_or(Problem::Protocol("no buffer for text"))?;
        let goes_on = more || request.continues || !request.is_final;
        self.outgoing.push(Item::Text {
            tag: request.task_tag,
            transfer_tag: if goes_on { TEXT_TAG } else { RESERVED_TAG },
            is_final: !goes_on,
            continues: more,
            data,
        });
        if goes_on {
            self.text = Some(exchange);
        }
        Ok(())
    }

    /// The answer to a whole text; `None` if it is none.
    fn answer_text(&mut self, cx: &mut Context<'_>, text: &[u8]) -> Option<Text> {
        let mut answer = Text::default();
        for pair in pairs(text) {
            let pair = pair.ok()?;
            if pair.key == "SendTargets" {
                self.send_targets(cx, &pair, &mut answer);
                continue;
            }
            match TextKey::of(pair.key) {
                Some(TextKey::MaxRecvDataSegmentLength) => {
                    let Rule::Declared(min, max) = TextKey::MaxRecvDataSegmentLength.rule() else {
                        return None;
                    };
                    self.outgoing.segment_max =
                        number_of(pair.value).filter(|len| (min..=max).contains(len))?;
                }
                Some(_) => answer.put(pair.key, "Reject"),
                None if pair.value == "NotUnderstood" => {}
                None => answer.put(pair.key, "NotUnderstood"),
            }
        }
        Some(answer)
    }

    /// SendTargets (appendix C): all targets, one, or that of this session.
    fn send_targets(&self, cx: &Context<'_>, pair: &Pair<'_>, answer: &mut Text) {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get(key)) else { return };
        let own = session.name.target.as_ref();
        let named = IscsiName::from_peer(pair.value).ok();
        let only = match (pair.value, own) {
            ("All", None) => None,
            ("", Some(own)) => Some(own),
            // In a normal session there is nothing to be told of others.
            ("All", Some(_)) => return answer.put("SendTargets", "Reject"),
            _ if named.is_some() && (own.is_none() || own == named.as_ref()) => named.as_ref(),
            _ => return answer.put("SendTargets", "Reject"),
        };
        let peer = self.arrival.peer.ip().to_canonical();
        let initiator = &session.name.initiator;
        cx.shard.registry.send_targets(only, initiator, peer, self.arrival.local, answer);
    }
}

/// The most text of one request.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// The most text of one response.
const PART_BYTES_MAX: usize = 64 << 10;

/// What responses bear that are not the last.
const TEXT_TAG: u32 = 0xffff_0001;
