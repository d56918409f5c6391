"""Operations that decide the models' speed, each by the fastest way that the backend has.

What a function computes is what its `keras.ops` form computes, and a test holds the two together;
only the way there differs. On TensorFlow:

* `batch_norm` is one fused operation, where Keras' layer makes a dozen passes over the pictures; with
  several devices it is two each way, and one more pass back.
* `instance_norm` is the same operation on one picture at a time, which took a half to a third of the
  time of means and differences over the batch (2 maps of 128x128x64, forward and back, two cores:
  6 against 15 ms in float32, 4.5 against 15 in bfloat16).
* `downsample` and `upsample` on a CPU: see `strided`.
* `reflected_frame` on a CPU in bfloat16 is copies of slices, in a third of the time.
* `reflected_conv` on a CPU in float32 with a 3x3 kernel between 64 channels or more needs a quarter of
  the multiplications, and no copy of the maps with a frame: forward and back 24 against 48 ms (2 maps
  of 32x32x256, one core).
* `reflected_conv` on a CPU to three colours takes less than half as long (7x7, 2 maps of 128x128x64,
  forward and back, one core: 22 against 46 ms).
* `Adam` is one pass over each variable instead of a dozen.

On JAX, whose compiler makes one loop of most of that by itself:

* `conv_transpose` on a CPU has its kernel's gradient in a fiftieth of the time: see `transposed`.
* StyleGAN2's filter on a CPU is sums of slices: see `modulation.smooth`.

benchmarks/dcgan_step.py and cyclegan_step.py measure what they are worth together.
"""

from anime_keras.kernels.adam import Adam
from anime_keras.kernels.norms import batch_norm, instance_norm
from anime_keras.kernels.reflected import reflected_conv, reflected_frame
from anime_keras.kernels.strided import downsample, upsample
from anime_keras.kernels.transposed import conv_transpose
from anime_keras.kernels.where import portable

__all__ = [
    "Adam",
    "batch_norm",
    "conv_transpose",
    "downsample",
    "instance_norm",
    "portable",
    "reflected_conv",
    "reflected_frame",
    "upsample",
]
