# SPDX-License-Identifier: Apache-2.0
"""`mixer dedup`: deduplication on this machine with several processes, which can be resumed."""
