//! For any input: decoding never panics, and what decodes is written again to the same bytes.

use proptest::array::{uniform8, uniform16, uniform32};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::nvme::aer::AsyncEventResult;
use wire::nvme::identify::{IDENTIFY_LEN, NamespaceDescriptor, NamespaceDescriptors, write_descriptors};
use wire::nvme::log::AnaGroups;
use wire::nvme::tcp::{
    CommonHeader, DataAlignment, Digests, HeaderRules, PduLayout, PduType, Phase, Receiver,
};
use wire::nvme::{Nqn, SglDescriptor, Status};
use zerocopy::{FromBytes, IntoBytes};

fn rules() -> impl Strategy<Value = HeaderRules> {
    let receiver = prop_oneof![Just(Receiver::Controller), Just(Receiver::Host)];
    let phase = prop_oneof![Just(Phase::Initialization), Just(Phase::Established)];
    (receiver, phase, any::<(bool, bool)>(), 0..32u8, any::<(u16, u32)>()).prop_map(
        |(receiver, phase, (header, data), alignment, (in_capsule_max, data_max))| HeaderRules {
            receiver,
            phase,
            digests: Digests { header, data },
            alignment: DataAlignment::from_code(alignment).unwrap(),
            in_capsule_max: u32::from(in_capsule_max),
            data_max,
        },
    )
}

/// Headers near the legal ones: a known type with its own length, small offsets and lengths.
fn header() -> impl Strategy<Value = CommonHeader> {
    let near =
        (0..10u8, 0..16u8, prop_oneof![Just(24u8), Just(72), Just(128), any::<u8>()], any::<u8>(), 0..700u32);
    near.prop_map(|(pdu_type, flags, header_length, data_offset, pdu_length)| CommonHeader {
        pdu_type,
        flags,
        header_length,
        data_offset,
        pdu_length: pdu_length.into(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// A header that passes has its parts one behind the other, inside the PDU and inside the limits.
    #[test]
    fn an_accepted_header_has_a_sound_layout(header in header(), rules in rules()) {
        if let Ok(layout) = header.check(&rules) {
            prop_assert!(layout.header_span() <= layout.data_offset);
            let digest = if layout.data_digest { 4 } else { 0 };
            let end = u64::from(layout.data_offset) + u64::from(layout.data_len) + digest;
            prop_assert_eq!(end, u64::from(layout.pdu_len));
            prop_assert_eq!(layout.kind.receiver(), rules.receiver);
            let limit = match layout.kind {
                PduType::CapsuleCmd => rules.in_capsule_max,
                PduType::H2cData | PduType::C2hData => rules.data_max,
                PduType::H2cTermReq | PduType::C2hTermReq => 128,
                PduType::IcReq | PduType::IcResp | PduType::CapsuleResp | PduType::R2t => 0,
            };
            prop_assert!(layout.data_len <= limit);
        }
    }

    /// What we plan to send, a peer with the same rules accepts.
    #[test]
    fn a_plan_passes_the_check(rules in rules(), length in 1..100_000u32) {
        let kind = match rules.receiver { Receiver::Controller => PduType::H2cData, Receiver::Host => PduType::C2hData };
        let rules = HeaderRules { phase: Phase::Established, data_max: length, ..rules };
        let flags = kind.flags().without(kind.flags());
        let layout = PduLayout::plan(kind, flags, rules.digests, rules.alignment, length);
        prop_assert_eq!(layout.common_header().check(&rules), Ok(layout));
    }

    #[test]
    fn a_descriptor_that_decodes_is_written_again(bytes in uniform16(any::<u8>())) {
        let raw = SglDescriptor::read_from_bytes(&bytes).unwrap();
        if let Ok(sgl) = raw.decode() {
            prop_assert_eq!(sgl.encode().decode(), Ok(sgl));
        }
    }

    #[test]
    fn a_status_survives_its_field(field: u16) {
        prop_assert_eq!(Status::from_wire(field).to_wire(), field & !1);
    }

    #[test]
    fn an_event_survives_its_dword(dword: u32) {
        let result = AsyncEventResult::from_dword(dword);
        prop_assert_eq!(result.to_dword(), dword & 0x00ff_ff07);
    }

    #[test]
    fn a_name_survives_its_field(text in "\\PC{0,80}") {
        match Nqn::from_peer(&text) {
            Ok(nqn) => {
                prop_assert_eq!(nqn.as_str(), text.as_str());
                prop_assert_eq!(Nqn::from_field(&nqn.to_field()).unwrap(), nqn);
            }
            Err(_) => prop_assert!(text.is_empty() || text.len() > 223),
        }
    }

    #[test]
    fn identifiers_survive_their_list(eui64 in uniform8(any::<u8>()), guids in uniform32(any::<u8>()), set: u8) {
        let (nguid, uuid) = guids.split_at(16);
        let written = [
            NamespaceDescriptor::Eui64(eui64),
            NamespaceDescriptor::Nguid(nguid.try_into().unwrap()),
            NamespaceDescriptor::Uuid(uuid.try_into().unwrap()),
            NamespaceDescriptor::CommandSet(set),
        ];
        let mut bytes = [0; IDENTIFY_LEN];
        write_descriptors(&written, &mut bytes);
        let read: Result<Vec<_>, _> = NamespaceDescriptors::new(&bytes).collect();
        prop_assert_eq!(read.unwrap(), written);
    }

    /// Lists filled by a peer end, whatever is in them.
    #[test]
    fn lists_end(bytes in vec(any::<u8>(), 0..300)) {
        let descriptors = NamespaceDescriptors::new(&bytes).count();
        prop_assert!(descriptors <= bytes.len() / 4);
        if let Ok(groups) = AnaGroups::new(&bytes) {
            let namespaces: usize = groups.flatten().map(|group| group.namespaces().count()).sum();
            prop_assert!(namespaces * 4 <= bytes.len());
        }
    }

    /// Every 64 bytes are a command, and the views of its dwords never fail but by their errors.
    #[test]
    fn any_command_can_be_read(bytes in (uniform32(any::<u8>()), uniform32(any::<u8>()))) {
        use wire::nvme::{admin, copy, dsm, fabrics, nvm, reservation, SubmissionQueueEntry};
        let bytes = [bytes.0, bytes.1].concat();
        let command = SubmissionQueueEntry::view(&bytes).unwrap();
        prop_assert_eq!(command.as_bytes(), bytes.as_slice());
        let page = admin::LogPageRequest::read(command);
        prop_assert_eq!(admin::LogPageRequest::read(&page.command(0, 0)), page);
        let identify = admin::IdentifyRequest::read(command);
        prop_assert_eq!(admin::IdentifyRequest::read(&identify.command(0, 0)), identify);
        let copy = copy::CopyCommand::read(command);
        prop_assert_eq!(copy::CopyCommand::read(&copy.command(0, 0)), copy);
        let dataset = dsm::DatasetManagement::read(command);
        prop_assert_eq!(dsm::DatasetManagement::read(&dataset.command(0, 0)), dataset);
        let connect = fabrics::Connect::read(command);
        prop_assert_eq!(fabrics::Connect::read(&connect.command(0)), connect);
        let mut written = SubmissionQueueEntry::new(0x01, 0);
        let range = nvm::BlockCommand::read(command);
        range.write(&mut written);
        prop_assert_eq!(nvm::BlockCommand::read(&written), range);
        if let Ok(register) = reservation::Register::read(command) {
            written.cdw10 = register.dword10().into();
            prop_assert_eq!(reservation::Register::read(&written), Ok(register));
        }
        if let Ok(acquire) = reservation::Acquire::read(command) {
            written.cdw10 = acquire.dword10().into();
            prop_assert_eq!(reservation::Acquire::read(&written), Ok(acquire));
        }
    }
}
