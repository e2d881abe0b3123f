//! EXTENDED COPY with the shorter list identifier (LID1), and RECEIVE COPY RESULTS (SPC-4, sections 6.4 and 6.17 to 6.20).

mod list;
mod results;

pub use list::{
    BLOCK_TO_BLOCK, BlockToBlock, CopyList, CopyListError, CopyListHeader, IDENTIFICATION, ListIdUsage,
    Target, TargetDescriptor,
};
pub use results::{
    COPY_STATUS_LEN, CopyFailureHeader, CopyLimits, CopyProgress, CopyStatus, OperatingParameters,
};

codes! {
    /// Service actions of RECEIVE COPY RESULTS (SPC-4, table 250).
    pub enum CopyResultsAction: u8 {
        CopyStatus = 0, "COPY STATUS";
        OperatingParameters = 3, "OPERATING PARAMETERS";
        FailedSegmentDetails = 4, "FAILED SEGMENT DETAILS";
    }
}
