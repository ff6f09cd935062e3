# SPDX-License-Identifier: Apache-2.0
"""A development server with the REST and gRPC interface of TensorFlow Serving."""
