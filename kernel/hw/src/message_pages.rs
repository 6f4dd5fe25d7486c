//! The two shared pages of SNP guest messages.

use crate::shared::SharedPage;
use tessera_protocol::traits::MessagePages;

/// Request and response page.
#[derive(Debug)]
pub struct MessagePair {
    request: SharedPage,
    response: SharedPage,
}

impl MessagePair {
    /// Over two pages that the host shares.
    pub fn new(request: SharedPage, response: SharedPage) -> Self {
        Self { request, response }
    }
}

impl MessagePages for MessagePair {
    fn addresses(&self) -> [u64; 2] {
        [self.request.gpa(), self.response.gpa()]
    }

    fn put(&mut self, header: &[u8], payload: &[u8]) {
        self.request.clear();
        self.request.write(0, header);
        self.request.write(header.len(), payload);
    }

    fn take(&mut self, offset: usize, into: &mut [u8]) {
        self.response.read(offset, into);
    }
}
