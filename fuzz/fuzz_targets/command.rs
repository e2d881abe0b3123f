//! Submission queue entries: whatever the bytes, every view of them reads, and what it read is written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::nvme::admin::{AbortRequest, GetFeatures, IdentifyRequest, LogPageRequest, SetFeatures};
use wire::nvme::copy::CopyCommand;
use wire::nvme::dsm::DatasetManagement;
use wire::nvme::fabrics::{Connect, PropertyGet, PropertySet};
use wire::nvme::nvm::BlockCommand;
use wire::nvme::opcode::DataTransfer;
use wire::nvme::reservation::{Acquire, Register, Release, Report};
use wire::nvme::{Sgl, SubmissionQueueEntry};

fuzz_target!(|input: &[u8]| {
    for chunk in input.chunks(SubmissionQueueEntry::LEN) {
        if let Ok(command) = SubmissionQueueEntry::view(chunk) {
            read(command);
        }
    }
});

fn read(command: &SubmissionQueueEntry) {
    let mut bytes = [0; SubmissionQueueEntry::LEN];
    assert_eq!(command.encode(&mut bytes), Ok(64));
    assert_eq!(SubmissionQueueEntry::view(&bytes), Ok(command));
    let _ = (command.fuse(), command.data_pointer(), DataTransfer::of_opcode(command.opcode));
    if let Ok(sgl) = command.data.decode() {
        assert_eq!(sgl.encode().decode(), Ok(sgl));
        assert!(sgl.data_length() == 0 || !matches!(sgl, Sgl::Segment { .. }));
    }
    let mut written = SubmissionQueueEntry::new(command.opcode, 0);
    let range = BlockCommand::read(command);
    range.write(&mut written);
    assert_eq!(BlockCommand::read(&written), range);
    assert!(range.end().is_none_or(|end| end > range.first_block));
    read_admin(command);
    read_data_commands(command);
}

fn read_admin(command: &SubmissionQueueEntry) {
    let identify = IdentifyRequest::read(command);
    assert_eq!(IdentifyRequest::read(&identify.command(0, 0)), identify);
    let page = LogPageRequest::read(command);
    assert_eq!(LogPageRequest::read(&page.command(0, 0)), page);
    let abort = AbortRequest::read(command);
    assert_eq!(AbortRequest::read(&abort.command(0)), abort);
    let set = SetFeatures::read(command);
    assert_eq!(SetFeatures::read(&set.command(0)), set);
    let get = GetFeatures::read(command);
    if let Some(select) = get.select {
        assert_eq!(GetFeatures::read(&GetFeatures::command(get.feature, select, get.dword11, 0)), get);
    }
    let connect = Connect::read(command);
    assert_eq!(Connect::read(&connect.command(0)), connect);
    let _ = (PropertyGet::read(command), PropertySet::read(command));
}

fn read_data_commands(command: &SubmissionQueueEntry) {
    let copy = CopyCommand::read(command);
    assert_eq!(CopyCommand::read(&copy.command(0, 0)), copy);
    let dataset = DatasetManagement::read(command);
    assert_eq!(DatasetManagement::read(&dataset.command(0, 0)), dataset);
    let mut written = *command;
    if let Ok(register) = Register::read(command) {
        written.cdw10 = register.dword10().into();
        assert_eq!(Register::read(&written), Ok(register));
    }
    if let Ok(acquire) = Acquire::read(command) {
        written.cdw10 = acquire.dword10().into();
        assert_eq!(Acquire::read(&written), Ok(acquire));
    }
    if let Ok(release) = Release::read(command) {
        written.cdw10 = release.dword10().into();
        assert_eq!(Release::read(&written), Ok(release));
    }
    let report = Report::read(command);
    assert_eq!(report.dwords(), (command.cdw10.get(), command.cdw11.get() & 1));
}
