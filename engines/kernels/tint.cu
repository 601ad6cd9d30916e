// The picture with every pixel tinted in the colour of its class: what the overlay does first, and pays most for.
//
// The arithmetic is that of tint_scene in pipeline/overlay/kernels.py, away from the drivable area: 8 bits, fixed point.
#include "pixel.cuh"

struct Tint {
    const unsigned char *image; // (height, width, 3) BGR
    long long image_pitch;
    const unsigned char *class_ids; // (height, width)
    const unsigned short *keep;     // (256,): how much of the picture stays, of 256
    const unsigned short *tint;     // (256, 3): the class's colour in BGR, times its share of 256
    unsigned char *out;             // (height, width, 3) BGR; may be the image itself
    int height, width;
};

KERNEL tint_classes(const Tint p) {
    const int x = pixel_x(), y = pixel_y();
    if (x >= p.width || y >= p.height) return;
    const int label = p.class_ids[(long long)y * p.width + x];
    const unsigned char *from = p.image + y * p.image_pitch + 3 * x;
    unsigned char *to = p.out + 3 * ((long long)y * p.width + x);
    for (int channel = 0; channel < 3; ++channel)
        to[channel] = (unsigned char)((from[channel] * p.keep[label] + p.tint[3 * label + channel]) >> 8);
}
