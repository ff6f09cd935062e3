// SPDX-License-Identifier: Apache-2.0
// Serves one request with the loader that TensorFlow Serving embeds: a SavedModel's graph in a
// session, by TensorFlow's C library, without Python.
//
// load_model MODEL_DIR INPUT_NODE OUTPUT_NODE OUTPUT_INDEX IMAGE...          strings
// load_model MODEL_DIR INPUT_NODE OUTPUT_NODE OUTPUT_INDEX --pixels H W      zeros, uint8 [1, H, W, 3]
// Prints the floats of the output, or the error on stderr with exit code 1.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tensorflow/c/c_api.h>
#include <tensorflow/c/tf_tstring.h>

static TF_Status* status;

static void require_ok(const char* what) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s: code %d: %s\n", what, TF_GetCode(status), TF_Message(status));
  exit(1);
}

static void free_nothing(void* data, size_t length, void* argument) {}

static TF_Tensor* read_images(int count, char** paths) {
  int64_t dims[] = {count};
  TF_TString* strings = calloc(count, sizeof(TF_TString));
  for (int i = 0; i < count; i++) {
    FILE* file = fopen(paths[i], "rb");
    if (!file) { fprintf(stderr, "cannot open %s\n", paths[i]); exit(1); }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char* content = malloc(size + 1);
    if (fread(content, 1, size, file) != (size_t)size) exit(1);
    fclose(file);
    TF_TString_Init(&strings[i]);
    TF_TString_Copy(&strings[i], content, size);
    free(content);
  }
  return TF_NewTensor(TF_STRING, dims, 1, strings, count * sizeof(TF_TString), free_nothing, NULL);
}

static TF_Tensor* make_pixels(int64_t height, int64_t width) {
  int64_t dims[] = {1, height, width, 3};
  TF_Tensor* tensor = TF_AllocateTensor(TF_UINT8, dims, 4, height * width * 3);
  memset(TF_TensorData(tensor), 0, height * width * 3);
  return tensor;
}

static TF_Output find(TF_Graph* graph, const char* name, int index) {
  TF_Output found = {TF_GraphOperationByName(graph, name), index};
  if (!found.oper) { fprintf(stderr, "no node %s\n", name); exit(1); }
  return found;
}

int main(int argc, char** argv) {
  status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session =
      TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  require_ok("load");

  int is_pixels = !strcmp(argv[5], "--pixels");
  TF_Tensor* input = is_pixels ? make_pixels(atoi(argv[6]), atoi(argv[7]))
                               : read_images(argc - 5, argv + 5);
  TF_Output from = find(graph, argv[2], 0), to = find(graph, argv[3], atoi(argv[4]));
  TF_Tensor* output = NULL;
  TF_SessionRun(session, NULL, &from, &input, 1, &to, &output, 1, NULL, 0, NULL, status);
  require_ok("run");

  size_t count = TF_TensorByteSize(output) / sizeof(float);
  const float* values = TF_TensorData(output);
  for (size_t i = 0; i < count; i++) printf("%.9g\n", values[i]);
  return 0;
}
