# SPDX-License-Identifier: Apache-2.0
"""Trained models as single files for other runtimes: TensorFlow Lite, ONNX and plain Keras.

All of them map uint8 pixels [N, S, S, 3] to probabilities [N, num_classes] by label; N is 1 in
TensorFlow Lite. Decoding and cropping of an image stay with the program that uses the file. No
TensorFlow is imported here.
"""

FLOAT32, FLOAT16, INT8 = PRECISIONS = ("float32", "float16", "int8")
TFLITE, ONNX, KERAS = ".tflite", ".onnx", ".keras"

# Suffix of a format → the precisions of the weights that it can hold.
FORMATS = {TFLITE: PRECISIONS, ONNX: (FLOAT32,), KERAS: (FLOAT32,)}
