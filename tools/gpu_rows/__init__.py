"The rows of tools/gpu.py: trainings that want a GPU. Needs torch, numpy, pillow and safetensors; no network."
