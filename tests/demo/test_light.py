import numpy as np

from psol_ray.demo.light import cast_shadow, random_camera, random_tint, random_tone

GREY = np.full((60, 80, 3), 0.5, np.float32)


def test_tint_keeps_the_mean_and_stays_near_its_strength() -> None:
    for seed in range(20):
        tint = random_tint(np.random.default_rng(seed), 0.2)
        assert abs(tint.mean() - 1) < 1e-6
        assert tint.min() > 0.8 / 1.2
        assert tint.max() < 1.2 / 0.8
    assert np.array_equal(random_tint(np.random.default_rng(0), 0.0), np.ones(3, np.float32))


def test_tone_stays_in_range_and_varies() -> None:
    ramp = np.linspace(0, 1, 300, dtype=np.float32).reshape(10, 10, 3)
    toned = [random_tone(ramp, np.random.default_rng(seed), 0.1) for seed in range(20)]
    assert all(image.min() >= 0 and image.max() <= 1 and image.dtype == np.float32 for image in toned)
    means = [image.mean() for image in toned]
    assert max(means) - min(means) > 0.1


def test_shadow_darkens_near_the_object_only() -> None:
    alpha = np.zeros((60, 80), np.float32)
    alpha[20:40, 30:50] = 1
    shaded = cast_shadow(GREY, alpha, np.random.default_rng(0))
    assert shaded[30, 40].max() < 0.42
    assert np.allclose(shaded[:3], 0.5, atol=1e-3)
    assert np.allclose(shaded[:, :3], 0.5, atol=1e-3)


def test_camera_blurs_some_images_adds_noise_to_some_and_leaves_the_rest() -> None:
    checks = GREY.copy()
    checks[::2] = 0.25
    shot = [random_camera(checks, np.random.default_rng(seed)) for seed in range(60)]
    untouched = sum(np.array_equal(image, checks) for image in shot)
    blurred = sum(np.ptp(image[30:32].mean(axis=(1, 2))) < 0.2 for image in shot)
    noisy = sum(image[30].std() > 0.003 for image in shot)
    assert min(untouched, blurred, noisy) >= 3
    assert all(image.min() >= 0 and image.max() <= 1 for image in shot)
