# SPDX-License-Identifier: Apache-2.0
"""Trained models as single files for other runtimes: TensorFlow Lite, ONNX and plain Keras.

All of them map uint8 pixels [N, S, S, 3] to probabilities [N, num_classes] by label; decoding and
cropping of an image stay with the program that uses the file.
"""
