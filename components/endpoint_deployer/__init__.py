# SPDX-License-Identifier: Apache-2.0
"""EndpointDeployer: registers a pushed model with Vertex AI and gives it traffic of an endpoint.

The component is imported on first use: Google's client takes seconds, and only Vertex AI needs it.
"""

from mixer_tf import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes.attach(
    __name__, {"EndpointDeployer": "component", "Deployment": "deployment"}
)
