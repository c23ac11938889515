"""A trained run -> a folder that other programs use: inference weights, ONNX graphs, a singer for OpenUtau."""
